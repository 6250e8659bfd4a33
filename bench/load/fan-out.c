// Mode fan-out: subscribers; a publisher that keeps so many publishes under way, each of which is done when all have
// got it; and a bystander, whose round trips are timed.
#include "load.h"
#include <stdio.h>
#include <stdlib.h>

#define WINDOW 64
#define SAMPLES 1000000

static struct connection *connections;
static struct connection *publisher;
static struct connection *bystander;
static bool is_running;
static double pause_between;
static double next_publish;
static long published;
static long completed;
static int deliveries[WINDOW];

static bool is_timing;
static bool is_quiet;
static double sent_at;
static bool is_disturbed;
static double *samples;
static int sample_count;

static void publish (void) {
  deliveries[published++ % WINDOW] = 0;
  is_disturbed = true;
  send_repeatedly(publisher, options.publisher_message, options.publisher_message.length);
}

static void handle_delivery (long index) {
  if (++deliveries[index % WINDOW] < options.connections) return;
  completed++;
  if (pause_between > 0) next_publish = now() + pause_between;
  else if (is_running) publish();
}

static void send_bystander (void) {
  is_disturbed = completed < published;
  sent_at = now();
  send_whole(bystander, options.bystander_message.at, options.bystander_message.length);
}

// Only what a fan-out could have held up counts, unless there is none.
static void time_bystander (void) {
  if ((is_disturbed || is_quiet) && sample_count < SAMPLES) samples[sample_count++] = now() - sent_at;
  sent_at = 0;
  if (is_timing) send_bystander();
}

static void handle_answers (struct connection *connection, int count) {
  if (connection == bystander) { time_bystander(); return; }
  for (int i = count; i > 0; i--) handle_delivery((long) connection->answers - i);
}

// It would else wait for its turn behind the subscribers here, not at the server.
static void look_for_bystander (void) {
  if (sent_at > 0) handle_readable(bystander);
}

void open_fan_out (void) {
  mode = (struct mode) { .answered = handle_answers };
  const struct answer *answer = parse_answer(options.answer);
  connections = new_connections(options.connections + 2);
  for (int i = 0; i < options.connections; i++) connections[i].expected = answer;
  open_all(connections, options.connections);
  publisher = &connections[options.connections];
  bystander = publisher + 1;
  struct bytes heads[] = { options.publisher_head, options.bystander_head };
  for (int i = 0; i < 2; i++) {
    if (heads[i].length == 0) continue;
    int before = open_connections;
    connect_to_server(publisher + i, heads[i]);
    while (open_connections == before) turn(now() + 1e6);
  }
  if (options.bystander_head.length == 0) return;
  bystander->expected = parse_answer(options.bystander_answer);
  samples = malloc(SAMPLES * sizeof *samples);
  mode.between = look_for_bystander;
}

static int compare (const void *a, const void *b) {
  double left = *(const double *) a, right = *(const double *) b;
  return (left > right) - (left < right);
}

static void report_samples (void) {
  if (sample_count == 0) fail("the bystander has no answer");
  qsort(samples, (size_t) sample_count, sizeof *samples, compare);
  printf("{\"samples\":%d,\"median\":%.1f,\"p99\":%.1f,\"longest\":%.1f}\n", sample_count,
    samples[sample_count / 2], samples[(long) sample_count * 99 / 100], samples[sample_count - 1]);
  fflush(stdout);
}

// Publishes without a pause, and reports the deliveries; or with one, and reports the round trips of the bystander.
void run_fan_out (double duration, double pause) {
  double start = now(), cpu = cpu_time();
  long before = completed;
  for (int i = 0; i < options.connections; i++) connections[i].unchecked = 1;
  pause_between = pause;
  sample_count = 0;
  is_quiet = false;
  is_running = true;
  next_publish = start;
  is_timing = pause > 0;
  if (is_timing) send_bystander();
  else for (int i = 0; i < options.in_flight; i++) publish();
  while (now() < start + duration) {
    if (is_timing && completed == published && now() >= next_publish) publish();
    turn(is_timing && completed == published ? next_publish : start + duration);
  }
  is_running = is_timing = false;
  while (completed < published || sent_at > 0) turn(now() + 1e6);
  if (pause > 0) report_samples();
  else report((completed - before) * options.connections, now() - start, cpu_time() - cpu);
}

void run_bystander (double duration) {
  double end = now() + duration;
  sample_count = 0;
  is_quiet = is_timing = true;
  send_bystander();
  while (now() < end) turn(end);
  is_timing = false;
  while (sent_at > 0) turn(now() + 1e6);
  report_samples();
}
