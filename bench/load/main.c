// load <mode> port=… head=… … opens its connections, says so in a line of JSON, and then obeys a line at a time, each
// answered by a line: run <ms>, count <handshakes>, paced <ms> <pause in ms>, quiet <ms>. It ends when its input does.
// Whatever the server does wrong ends it with an error.
#include "load.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

// Fewer than a server that listens with the backlog of Node.js holds for it.
#define OPENING_AT_ONCE 128

struct mode mode;

void open_all (struct connection *connections, int count) {
  int before = open_connections;
  for (int i = 0; i < count; i++) {
    connect_to_server(&connections[i], options.head);
    while (i + 1 - (open_connections - before) >= OPENING_AT_ONCE) turn(now() + 1e6);
  }
  while (open_connections - before < count) turn(now() + 1e6);
}

void report (long operations, double elapsed, double cpu) {
  printf("{\"operations\":%ld,\"elapsed\":%.0f,\"cpu\":%.0f}\n", operations, elapsed, cpu);
  fflush(stdout);
}

static void open_hold (void) {
  open_all(new_connections(options.connections), options.connections);
}

static bool is_mode (const char *name) {
  return strcmp(options.mode, name) == 0;
}

static void open_mode (void) {
  if (is_mode("echo")) open_echo();
  else if (is_mode("handshake")) open_handshakes();
  else if (is_mode("fan-out")) open_fan_out();
  else if (is_mode("hold")) open_hold();
  else fail("unknown mode %s", options.mode);
}

static void obey (const char *command) {
  double duration = 0, pause = 0;
  long count = 0;
  if (sscanf(command, "count %ld", &count) == 1) run_handshakes(3600e6, count);
  else if (sscanf(command, "paced %lf %lf", &duration, &pause) == 2) run_fan_out(duration * 1e3, pause * 1e3);
  else if (sscanf(command, "quiet %lf", &duration) == 1) run_bystander(duration * 1e3);
  else if (sscanf(command, "run %lf", &duration) != 1) fail("unknown command %s", command);
  else if (is_mode("echo")) run_echo(duration * 1e3);
  else if (is_mode("handshake")) run_handshakes(duration * 1e3, 1L << 40);
  else if (is_mode("fan-out")) run_fan_out(duration * 1e3, 0);
  else fail("%s does not run", options.mode);
}

int main (int count, char **arguments) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  read_options(count, arguments);
  open_loop();
  double start = now(), cpu = cpu_time();
  open_mode();
  report(open_connections, now() - start, cpu_time() - cpu);
  char command[128];
  for (;;) {
    if (read_command(command, sizeof command)) obey(command);
    else turn_idly();
  }
}
