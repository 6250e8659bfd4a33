// RFC 6455 section 5, from the client's side.
#include "load.h"
#include <string.h>

#define CLOSE 8
#define PING 9
#define PONG 10

static size_t needed_header (const struct frame *frame) {
  if (frame->header_length < 2 || frame->header[1] < 126) return 2;
  return frame->header[1] == 126 ? 4 : 10;
}

// True when the header is whole.
static bool receive_header (struct frame *frame, unsigned char byte) {
  frame->header[frame->header_length++] = byte;
  size_t needed = needed_header(frame);
  if (frame->header_length < needed) return false;
  if ((frame->header[0] & 0xb0) != 0x80 || frame->header[1] & 0x80) fail("a frame that begins with %02x %02x", frame->header[0], frame->header[1]);
  frame->opcode = frame->header[0] & 0x0f;
  frame->received = 0;
  frame->length = needed == 2 ? frame->header[1] : 0;
  for (size_t i = 2; i < needed; i++) frame->length = frame->length << 8 | frame->header[i];
  return true;
}

static void receive_payload (struct connection *connection, const unsigned char *bytes, size_t length) {
  struct frame *frame = &connection->frame;
  if (frame->received + length <= SMALL) memcpy(frame->small + frame->received, bytes, length);
  if (frame->opcode < CLOSE && connection->state == OPEN) check_payload(connection, bytes, length);
  frame->received += length;
}

static void handle_control (struct connection *connection) {
  const struct frame *frame = &connection->frame;
  if (frame->opcode == PING) send_small_frame(connection, PONG, frame->small, frame->length);
  if (frame->opcode != CLOSE) return;
  int code = frame->length < 2 ? 1005 : frame->small[0] << 8 | frame->small[1];
  if (connection->state != CLOSING || code != 1000) fail("the server has closed a connection with %d", code);
  connection->state = CLOSE_RECEIVED;
}

// True when it completes an answer.
static bool handle_frame (struct connection *connection) {
  if (connection->frame.opcode >= CLOSE) { handle_control(connection); return false; }
  if (options.is_engine_io && handle_engine_io(connection)) return false;
  return connection->state == OPEN && is_answer_complete(connection);
}

void receive_frames (struct connection *connection, const unsigned char *bytes, size_t length) {
  struct frame *frame = &connection->frame;
  int answers = 0;
  while (length > 0) {
    size_t taken = 1;
    if (frame->header_length < needed_header(frame)) {
      if (!receive_header(frame, *bytes)) { bytes++; length--; continue; }
    } else {
      uint64_t missing = frame->length - frame->received;
      taken = length < missing ? length : (size_t) missing;
      receive_payload(connection, bytes, taken);
    }
    bytes += taken;
    length -= taken;
    if (frame->received < frame->length) continue;
    answers += handle_frame(connection);
    frame->header_length = 0;
  }
  connection->answers += (uint64_t) answers;
  if (answers > 0) mode.answered(connection, answers);
}
