#include "load.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static size_t send_some (struct connection *connection, const void *bytes, size_t length) {
  ssize_t count = send(connection->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count >= 0) return (size_t) count;
  if (errno != EAGAIN) fail("send in state %d: %s", connection->state, strerror(errno));
  return 0;
}

void send_whole (struct connection *connection, const void *bytes, size_t length) {
  if (send_some(connection, bytes, length) != length) fail("a short send of %zu bytes", length);
}

void flush (struct connection *connection) {
  struct outgoing *outgoing = &connection->outgoing;
  while (outgoing->left > 0) {
    size_t rest = outgoing->source.length - outgoing->offset;
    size_t sent = send_some(connection, outgoing->source.at + outgoing->offset, outgoing->left < rest ? outgoing->left : rest);
    if (sent == 0) { watch(connection, true); return; }
    outgoing->left -= sent;
    outgoing->offset = sent == rest ? 0 : outgoing->offset + sent;
  }
  watch(connection, false);
  if (connection->owed_length == 0) return;
  send_whole(connection, connection->owed, connection->owed_length);
  connection->owed_length = 0;
}

void send_repeatedly (struct connection *connection, struct bytes source, size_t length) {
  if (connection->outgoing.left == 0) connection->outgoing = (struct outgoing) { .source = source };
  connection->outgoing.left += length;
  // Otherwise it goes out when the socket takes more.
  if (!connection->is_listening_for_writes) flush(connection);
}

// RFC 6455 section 5.2, with a mask of zeros.
void send_small_frame (struct connection *connection, unsigned opcode, const void *payload, size_t length) {
  connection->owed[0] = (unsigned char) (0x80 | opcode);
  connection->owed[1] = (unsigned char) (0x80 | length);
  memset(connection->owed + 2, 0, 4);
  memcpy(connection->owed + 6, payload, length);
  connection->owed_length = 6 + length;
  if (!connection->is_listening_for_writes) flush(connection);
}
