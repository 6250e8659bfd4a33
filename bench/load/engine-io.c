// What a client of socket.io says beside its messages: https://socket.io/docs/v4/socket-io-protocol/
#include "load.h"
#include <string.h>

#define TEXT 1

static bool begins_with (const struct frame *frame, const char *text) {
  return frame->length >= strlen(text) && memcmp(frame->small, text, strlen(text)) == 0;
}

// Its pings are messages for WebSocket.
bool is_engine_io_ping (const struct frame *frame) {
  return options.is_engine_io && frame->length == 1 && begins_with(frame, "2");
}

// True if the frame was no message. Its server greets, is asked for the namespace /, and confirms it; and it pings.
bool handle_engine_io (struct connection *connection) {
  const struct frame *frame = &connection->frame;
  if (is_engine_io_ping(frame)) {
    send_small_frame(connection, TEXT, "3", 1);
    return true;
  }
  if (connection->state != GREETING) return false;
  if (begins_with(frame, "0{")) {
    send_small_frame(connection, TEXT, "40", 2);
  } else if (begins_with(frame, "40{")) {
    connection->state = OPEN;
    open_connections++;
    if (mode.opened != NULL) mode.opened(connection);
  } else {
    fail("no greeting of socket.io: %.*s", (int) (frame->length < SMALL ? frame->length : SMALL), frame->small);
  }
  return true;
}
