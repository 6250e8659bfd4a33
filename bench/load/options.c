// Arguments: the mode, then name=value; bytes are the names of files.
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options options = { .connections = 1, .in_flight = 1, .status = 101 };

static struct bytes read_whole (const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail("cannot open %s", path);
  fseek(file, 0, SEEK_END);
  struct bytes bytes = { .length = (size_t) ftell(file) };
  rewind(file);
  bytes.at = malloc(bytes.length + 1);
  if (fread(bytes.at, 1, bytes.length, file) != bytes.length) fail("cannot read %s", path);
  bytes.at[bytes.length] = '\0';
  fclose(file);
  return bytes;
}

static bool read_file_option (const char *name, const char *value) {
  const struct { const char *name; struct bytes *target; } files[] = {
    { "head", &options.head },
    { "message", &options.message },
    { "answer", &options.answer },
    { "publisherHead", &options.publisher_head },
    { "publisherMessage", &options.publisher_message },
    { "bystanderHead", &options.bystander_head },
    { "bystanderMessage", &options.bystander_message },
    { "bystanderAnswer", &options.bystander_answer }
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (strcmp(name, files[i].name) != 0) continue;
    *files[i].target = read_whole(value);
    return true;
  }
  return false;
}

static bool read_number_option (const char *name, int value) {
  if (strcmp(name, "port") == 0) options.port = value;
  else if (strcmp(name, "connections") == 0) options.connections = value;
  else if (strcmp(name, "inFlight") == 0) options.in_flight = value;
  else if (strcmp(name, "isRotating") == 0) options.is_rotating = value != 0;
  else if (strcmp(name, "isEngineIo") == 0) options.is_engine_io = value != 0;
  else if (strcmp(name, "status") == 0) options.status = value;
  else return false;
  return true;
}

void read_options (int count, char **arguments) {
  if (count < 2) fail("which mode?");
  options.mode = arguments[1];
  for (int i = 2; i < count; i++) {
    char *value = strchr(arguments[i], '=');
    if (value == NULL) fail("not name=value: %s", arguments[i]);
    *value++ = '\0';
    if (!read_number_option(arguments[i], atoi(value)) && !read_file_option(arguments[i], value)) fail("unknown option %s", arguments[i]);
  }
}
