#define _GNU_SOURCE
#include "load.h"
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

// A contender that has not said a word for so long while it owes an answer has lost one.
#define SILENCE 20e6
#define EVENTS 256

static int epoll;
static double last_event;
static char commands[256];
static size_t commands_length;

static void control (int operation, int fd, uint32_t events, void *pointer) {
  struct epoll_event event = { .events = events, .data.ptr = pointer };
  if (epoll_ctl(epoll, operation, fd, &event) != 0) fail("epoll_ctl has failed");
}

void open_loop (void) {
  epoll = epoll_create1(0);
  control(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
}

void watch_new (struct connection *connection) {
  connection->is_listening_for_writes = false;
  control(EPOLL_CTL_ADD, connection->fd, EPOLLIN, connection);
}

void watch (struct connection *connection, bool for_writes_too) {
  if (connection->is_listening_for_writes == for_writes_too) return;
  connection->is_listening_for_writes = for_writes_too;
  control(EPOLL_CTL_MOD, connection->fd, for_writes_too ? EPOLLIN | EPOLLOUT : EPOLLIN, connection);
}

static void read_commands (void) {
  ssize_t count = read(STDIN_FILENO, commands + commands_length, sizeof commands - commands_length);
  if (count <= 0) exit(0); // whoever drives it has gone
  commands_length += (size_t) count;
}

bool read_command (char *line, size_t size) {
  char *end = memchr(commands, '\n', commands_length);
  if (end == NULL) return false;
  size_t length = (size_t) (end - commands);
  if (length >= size) fail("a command is too long");
  memcpy(line, commands, length);
  line[length] = '\0';
  commands_length -= length + 1;
  memmove(commands, end + 1, commands_length);
  last_event = now();
  return true;
}

static int handle_events (int timeout) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(epoll, events, EVENTS, timeout);
  for (int i = 0; i < count; i++) {
    struct connection *connection = events[i].data.ptr;
    if (connection == NULL) { read_commands(); continue; }
    if (events[i].events & EPOLLOUT) handle_writable(connection);
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) handle_readable(connection);
    if (mode.between != NULL) mode.between();
  }
  return count;
}

void turn_idly (void) {
  handle_events(-1);
  last_event = now();
}

void turn (double until) {
  double left = until - now();
  if (left < 0) left = 0;
  if (handle_events(left > 1e6 ? 1000 : (int) (left / 1e3)) > 0) last_event = now();
  else if (now() - last_event > SILENCE) fail("no answer for %.0f s", SILENCE / 1e6);
}
