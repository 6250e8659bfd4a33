// The load generator: one thread, one epoll. main.c says how it is driven.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
  unsigned char *at;
  size_t length;
};

struct options {
  const char *mode;
  int port;
  int connections;
  // Of each connection, or of all of them together if `is_rotating`.
  int in_flight;
  bool is_rotating;
  bool is_engine_io;
  // Of the handshake: 101, or that of the refusal whose body is `answer`.
  int status;
  struct bytes head;
  // Masked frames, and the frames, unmasked, that must come back for them.
  struct bytes message;
  struct bytes answer;
  struct bytes publisher_head;
  struct bytes publisher_message;
  struct bytes bystander_head;
  struct bytes bystander_message;
  struct bytes bystander_answer;
};

// The frames that are awaited for one message.
struct answer {
  size_t count;
  struct { unsigned kind; struct bytes payload; } frames[4];
};

enum state { CLOSED, HANDSHAKE, GREETING, OPEN, CLOSING, CLOSE_RECEIVED };

// What is still to be sent: bytes of a source that is sent over and over.
struct outgoing {
  struct bytes source;
  size_t offset;
  size_t left;
};

#define SMALL 128
struct frame {
  unsigned char header[10];
  size_t header_length;
  unsigned opcode;
  uint64_t length;
  uint64_t received;
  // The payload, as far as it is small.
  unsigned char small[SMALL];
};

struct connection {
  int fd;
  int index;
  enum state state;
  bool is_listening_for_writes;
  struct outgoing outgoing;
  struct frame frame;
  // A pong, which goes out between two messages.
  unsigned char owed[SMALL + 6];
  size_t owed_length;
  // NULL: whatever comes is welcome and not counted.
  const struct answer *expected;
  size_t expected_frame;
  // How many answers are still compared byte by byte; of the others only the length is.
  int unchecked;
  uint64_t answers;
  char *response;
  size_t response_length;
};

// What the mode does with what its connections tell.
struct mode {
  void (*opened) (struct connection *);
  // So many answers have come in one read.
  void (*answered) (struct connection *, int count);
  void (*ended) (struct connection *);
  // After each event.
  void (*between) (void);
};

extern struct options options;
extern struct mode mode;

// failure.c
__attribute__((noreturn, format(printf, 1, 2))) void fail (const char *format, ...);

// options.c
void read_options (int count, char **arguments);

// clock.c, in microseconds
double now (void);
double cpu_time (void);

// loop.c
void open_loop (void);
void watch_new (struct connection *);
void watch (struct connection *, bool for_writes_too);
// Waits for events until then, and handles them; an error if they are so late that an answer must have been lost.
void turn (double until);
void turn_idly (void);
bool read_command (char *line, size_t size);

// connection.c
extern int open_connections;
struct connection *new_connections (int count);
void connect_to_server (struct connection *, struct bytes head);
void handle_readable (struct connection *);
void handle_writable (struct connection *);
void disconnect (struct connection *);

// sending.c
void send_repeatedly (struct connection *, struct bytes source, size_t length);
void send_whole (struct connection *, const void *bytes, size_t length);
void send_small_frame (struct connection *, unsigned opcode, const void *payload, size_t length);
void flush (struct connection *);

// response.c
void receive_response (struct connection *, const unsigned char *bytes, size_t length);
void check_refusal (struct connection *);

// frames.c
void receive_frames (struct connection *, const unsigned char *bytes, size_t length);

// answers.c
const struct answer *parse_answer (struct bytes frames);
bool is_answer_complete (struct connection *);
void check_payload (struct connection *, const unsigned char *bytes, size_t length);

// engine-io.c
bool is_engine_io_ping (const struct frame *);
bool handle_engine_io (struct connection *);

// The modes, each in a file of its own.
void open_echo (void);
void run_echo (double duration);
void open_handshakes (void);
void run_handshakes (double duration, long limit);
void open_fan_out (void);
void run_fan_out (double duration, double pause);
void run_bystander (double duration);

// main.c
void open_all (struct connection *, int count);
void report (long operations, double elapsed, double cpu);
