#include "load.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// A number that stands on a wrong answer would be worse than none.
void fail (const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (char *c = text; *c != '\0'; c++) if (*c == '"' || *c == '\\' || (unsigned char) *c < ' ') *c = ' ';
  printf("{\"error\":\"%s\"}\n", text);
  fflush(stdout);
  exit(1);
}
