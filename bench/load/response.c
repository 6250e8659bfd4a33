#define _GNU_SOURCE
#include "load.h"
#include <stdlib.h>
#include <string.h>

#define LONGEST 4096
// RFC 6455 section 1.3: of the key that the heads have, dGhlIHNhbXBsZSBub25jZQ==
#define ACCEPT "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void check_status (struct connection *connection) {
  if (connection->response_length < 12 || atoi(connection->response + 9) != options.status) {
    fail("%d expected: %.200s", options.status, connection->response);
  }
}

void check_refusal (struct connection *connection) {
  check_status(connection);
  size_t length = options.answer.length;
  if (connection->response_length < length) fail("a short refusal: %s", connection->response);
  if (memcmp(connection->response + connection->response_length - length, options.answer.at, length) != 0) {
    fail("a refusal with another body: %s", connection->response);
  }
}

static void handle_acceptance (struct connection *connection) {
  check_status(connection);
  if (strcasestr(connection->response, ACCEPT) == NULL) fail("not accepted: %s", connection->response);
  if (options.is_engine_io) { connection->state = GREETING; return; }
  connection->state = OPEN;
  open_connections++;
  if (mode.opened != NULL) mode.opened(connection);
}

// A refusal goes on to the end of the connection, an acceptance to its empty line: what follows are frames.
void receive_response (struct connection *connection, const unsigned char *bytes, size_t length) {
  if (connection->response == NULL) connection->response = malloc(LONGEST + 1);
  size_t before = connection->response_length;
  if (before + length > LONGEST) {
    connection->response[before] = '\0';
    fail("a response of more than %d bytes: %.200s", LONGEST, connection->response);
  }
  memcpy(connection->response + before, bytes, length);
  connection->response_length = before + length;
  connection->response[connection->response_length] = '\0';
  if (options.status != 101) return;
  char *end = strstr(connection->response, "\r\n\r\n");
  if (end == NULL) return;
  size_t head = (size_t) (end - connection->response) + 4;
  handle_acceptance(connection);
  size_t rest = connection->response_length - head;
  if (rest > 0) receive_frames(connection, bytes + (length - rest), rest);
}
