/*
 * The application behind the proxies under test: answers every request head with a fixed response on one epoll loop, so
 * that it is never the bottleneck. Usage: upstream PORT BODY_BYTES. Requests have no bodies; heads may arrive in any pieces.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FDS = 65536, READ_BYTES = 65536 };

/* How many bytes of CR LF CR LF each connection has seen at its end. */
static unsigned char seen[MAX_FDS];
static char input[READ_BYTES];

static int heads_in(int fd, const char *bytes, ssize_t length) {
  static const char end[] = "\r\n\r\n";
  int count = 0;
  unsigned char at = seen[fd];
  for (ssize_t i = 0; i < length; i++) {
    if (bytes[i] == end[at]) at++;
    else at = bytes[i] == '\r' ? 1 : 0;
    if (at == 4) {
      count++;
      at = 0;
    }
  }
  seen[fd] = at;
  return count;
}

static int write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return -1;
    }
    bytes += written;
    length -= (size_t)written;
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  size_t body = strtoul(argv[2], NULL, 10);
  char *response = malloc(body + 256);
  int head = sprintf(response, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", body);
  memset(response + head, 'x', body);
  size_t length = (size_t)head + body;

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) {
    perror("upstream");
    return 1;
  }
  int loop = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(loop, events, 256, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int accepted;
        while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (accepted >= MAX_FDS) {
            close(accepted);
            continue;
          }
          setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          seen[accepted] = 0;
          struct epoll_event added = {.events = EPOLLIN, .data.fd = accepted};
          epoll_ctl(loop, EPOLL_CTL_ADD, accepted, &added);
        }
        continue;
      }
      ssize_t got = read(fd, input, sizeof input);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      int failed = got <= 0;
      for (int heads = failed ? 0 : heads_in(fd, input, got); heads > 0 && !failed; heads--) failed = write_all(fd, response, length) != 0;
      if (failed) close(fd);
    }
  }
}
