// Mode echo: messages, and as many answers.
#include "load.h"
#include <stdlib.h>
#include <string.h>

static struct connection *connections;
static struct bytes batch;
static bool is_running;
static long under_way;
static long answers;
static int next;

static void send_messages (struct connection *connection, int count) {
  under_way += count;
  send_repeatedly(connection, batch, options.message.length * (size_t) count);
}

static void send_on_next (void) {
  send_messages(&connections[next], 1);
  next = (next + 1) % options.connections;
}

static void handle_answers (struct connection *connection, int count) {
  answers += count;
  under_way -= count;
  if (!is_running) return;
  if (!options.is_rotating) send_messages(connection, count);
  else for (int i = 0; i < count; i++) send_on_next();
}

void open_echo (void) {
  mode = (struct mode) { .answered = handle_answers };
  batch = (struct bytes) { malloc(options.message.length * (size_t) options.in_flight), options.message.length * (size_t) options.in_flight };
  for (int i = 0; i < options.in_flight; i++) memcpy(batch.at + options.message.length * (size_t) i, options.message.at, options.message.length);
  const struct answer *answer = parse_answer(options.answer);
  connections = new_connections(options.connections);
  for (int i = 0; i < options.connections; i++) connections[i].expected = answer;
  open_all(connections, options.connections);
}

void run_echo (double duration) {
  double start = now(), cpu = cpu_time();
  answers = 0;
  is_running = true;
  for (int i = 0; i < options.connections; i++) connections[i].unchecked = 1;
  if (options.is_rotating) for (int i = 0; i < options.in_flight; i++) send_on_next();
  else for (int i = 0; i < options.connections; i++) send_messages(&connections[i], options.in_flight);
  while (now() < start + duration) turn(start + duration);
  is_running = false;
  while (under_way > 0) turn(now() + 1e6);
  report(answers, now() - start, cpu_time() - cpu);
}
