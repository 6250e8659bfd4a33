// Mode handshake: connections that are opened and closed, or refused, one after the other by each of so many workers.
#include "load.h"

static struct connection *workers;
static double end;
static long left;
static long done;
static int busy;

static void begin (struct connection *connection) {
  busy++;
  left--;
  connect_to_server(connection, options.head);
}

// RFC 6455 section 7.1.1: the server closes the TCP connection first, so that the port of the client is free again.
static void close_opened (struct connection *connection) {
  connection->state = CLOSING;
  send_small_frame(connection, 8, "\x03\xe8", 2);
}

static void handle_ended (struct connection *connection) {
  disconnect(connection);
  done++;
  busy--;
  if (left > 0 && now() < end) begin(connection);
}

void open_handshakes (void) {
  mode = (struct mode) { .opened = close_opened, .ended = handle_ended };
  workers = new_connections(options.connections);
}

void run_handshakes (double duration, long limit) {
  double start = now(), cpu = cpu_time();
  done = 0;
  left = limit;
  end = start + duration;
  for (int i = 0; i < options.connections && left > 0; i++) begin(&workers[i]);
  while (busy > 0) turn(now() + 1e6);
  report(done, now() - start, cpu_time() - cpu);
}
