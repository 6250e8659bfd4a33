#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// More than 28 000 connections, those in TIME_WAIT included, do not fit on one address of the client.
#define ADDRESSES 8
#define RECEIVE_BUFFER (512 * 1024)

int open_connections = 0;

struct connection *new_connections (int count) {
  struct connection *connections = calloc((size_t) count, sizeof *connections);
  for (int i = 0; i < count; i++) connections[i].index = i;
  return connections;
}

static int open_socket (int index) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0) fail("no socket: %s", strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t) (index % ADDRESSES)) };
  if (bind(fd, (struct sockaddr *) &address, sizeof address) != 0) fail("bind: %s", strerror(errno));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t) options.port);
  if (connect(fd, (struct sockaddr *) &address, sizeof address) != 0) fail("connect: %s", strerror(errno));
  return fd;
}

void connect_to_server (struct connection *connection, struct bytes head) {
  connection->fd = open_socket(connection->index);
  connection->state = HANDSHAKE;
  connection->response_length = 0;
  connection->outgoing.left = 0;
  connection->owed_length = 0;
  connection->frame.header_length = 0;
  connection->expected_frame = 0;
  watch_new(connection);
  send_whole(connection, head.at, head.length);
}

void disconnect (struct connection *connection) {
  close(connection->fd);
  connection->state = CLOSED;
}

static void handle_end (struct connection *connection) {
  if (connection->state == HANDSHAKE && options.status != 101) check_refusal(connection);
  else if (connection->state != CLOSE_RECEIVED) fail("the server has ended a connection in state %d", connection->state);
  mode.ended(connection);
}

void handle_readable (struct connection *connection) {
  static unsigned char buffer[RECEIVE_BUFFER];
  ssize_t count = recv(connection->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count < 0) fail("recv in state %d: %s", connection->state, strerror(errno));
  if (count == 0) handle_end(connection);
  else if (connection->state == HANDSHAKE) receive_response(connection, buffer, (size_t) count);
  else receive_frames(connection, buffer, (size_t) count);
}

void handle_writable (struct connection *connection) {
  flush(connection);
}
