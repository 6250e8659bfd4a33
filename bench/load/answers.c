// What must come back for a message: counted by frames, since each contender has its own way to wrap a message.
#include "load.h"
#include <stdlib.h>
#include <string.h>

// The opcode, and whether it is compressed.
#define KIND 0x4f

static size_t header_length (const unsigned char *frame) {
  return frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
}

static uint64_t payload_length (const unsigned char *frame) {
  size_t header = header_length(frame);
  if (header == 2) return frame[1];
  uint64_t length = 0;
  for (size_t i = 2; i < header; i++) length = length << 8 | frame[i];
  return length;
}

const struct answer *parse_answer (struct bytes frames) {
  struct answer *answer = calloc(1, sizeof *answer);
  for (size_t at = 0; at < frames.length;) {
    if (answer->count == sizeof answer->frames / sizeof *answer->frames) fail("an answer of too many frames");
    unsigned char *frame = frames.at + at;
    answer->frames[answer->count].kind = frame[0] & KIND;
    answer->frames[answer->count].payload = (struct bytes) { frame + header_length(frame), payload_length(frame) };
    at += header_length(frame) + answer->frames[answer->count++].payload.length;
  }
  return answer;
}

void check_payload (struct connection *connection, const unsigned char *bytes, size_t length) {
  if (connection->expected == NULL || connection->unchecked == 0) return;
  const struct frame *frame = &connection->frame;
  if (is_engine_io_ping(frame)) return;
  struct bytes payload = connection->expected->frames[connection->expected_frame].payload;
  if (frame->length != payload.length || memcmp(payload.at + frame->received, bytes, length) != 0) {
    fail("a wrong answer: %.*s", (int) (length < 200 ? length : 200), bytes);
  }
}

// One of its frames is there; was it the last?
bool is_answer_complete (struct connection *connection) {
  const struct answer *expected = connection->expected;
  if (expected == NULL) return false;
  const struct frame *frame = &connection->frame;
  size_t index = connection->expected_frame;
  if ((frame->header[0] & KIND) != expected->frames[index].kind || frame->length != expected->frames[index].payload.length) {
    fail("a frame %02x with %llu bytes instead of %02x with %zu", frame->header[0] & KIND, (unsigned long long) frame->length,
      expected->frames[index].kind, expected->frames[index].payload.length);
  }
  connection->expected_frame = index + 1 == expected->count ? 0 : index + 1;
  if (connection->expected_frame != 0) return false;
  if (connection->unchecked > 0) connection->unchecked--;
  return true;
}
