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

// When the first of the publishes that are under way began, and how long there were any so far.
static double busy_since, busy_cpu_since;
static double busy_time, busy_cpu;

static bool is_timing;
static bool is_quiet;
static double sent_at;
static bool is_disturbed;
static double *samples;
static int sample_count;

static void publish (void) {
  if (completed == published) {
    busy_since = now();
    busy_cpu_since = cpu_time();
  }
  deliveries[published++ % WINDOW] = 0;
  is_disturbed = true;
  send_repeatedly(publisher, options.publisher_message, options.publisher_message.length);
}

static void handle_delivery (long index) {
  if (++deliveries[index % WINDOW] < options.connections) return;
  completed++;
  if (completed == published) {
    busy_time += now() - busy_since;
    busy_cpu += cpu_time() - busy_cpu_since;
  }
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

static void report_samples (double elapsed, double cpu) {
  if (sample_count == 0) fail("the bystander has no answer");
  printf("{\"elapsed\":%.0f,\"cpu\":%.0f,\"roundTrips\":[", elapsed, cpu);
  for (int i = 0; i < sample_count; i++) printf("%s%.0f", i == 0 ? "" : ",", samples[i]);
  printf("]}\n");
  fflush(stdout);
}

// Publishes without a pause, or with one, and reports the deliveries; where there is a bystander and a pause, its round
// trips, and how long fan-outs were under way.
void run_fan_out (double duration, double pause) {
  double start = now(), cpu = cpu_time();
  long before = completed;
  for (int i = 0; i < options.connections; i++) connections[i].unchecked = 1;
  pause_between = pause;
  sample_count = 0;
  busy_time = busy_cpu = 0;
  is_quiet = false;
  is_running = true;
  next_publish = start;
  bool is_paced = pause > 0, has_bystander = options.bystander_head.length > 0;
  is_timing = is_paced && has_bystander;
  if (is_timing) send_bystander();
  if (!is_paced) for (int i = 0; i < options.in_flight; i++) publish();
  while (now() < start + duration) {
    if (is_paced && completed == published && now() >= next_publish) publish();
    turn(is_paced && completed == published ? next_publish : start + duration);
  }
  is_running = is_timing = false;
  while (completed < published || sent_at > 0) turn(now() + 1e6);
  if (is_paced && has_bystander) report_samples(busy_time, busy_cpu);
  else report((completed - before) * options.connections, now() - start, cpu_time() - cpu);
}

void run_bystander (double duration) {
  double start = now(), cpu = cpu_time(), end = start + duration;
  sample_count = 0;
  is_quiet = is_timing = true;
  send_bystander();
  while (now() < end) turn(end);
  is_timing = false;
  while (sent_at > 0) turn(now() + 1e6);
  report_samples(now() - start, cpu_time() - cpu);
}
