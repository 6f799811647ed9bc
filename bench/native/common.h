// What the upstream and the generator share: a clock, non-blocking sockets, and failing loudly.
#ifndef COMMON_H
#define COMMON_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what) {
  perror(what);
  exit(1);
}

static inline void tune(int fd) {
  int one = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("TCP_NODELAY");
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) die("O_NONBLOCK");
}

// The value of a header in [head, end), or NULL. The name is in lower case with its colon.
static inline const char *header(const char *head, const char *end, const char *name) {
  size_t n = strlen(name);
  for (const char *line = head; line < end;) {
    if ((size_t)(end - line) >= n && strncasecmp(line, name, n) == 0) {
      line += n;
      while (*line == ' ') line++;
      return line;
    }
    const char *next = memchr(line, '\n', (size_t)(end - line));
    if (!next) return NULL;
    line = next + 1;
  }
  return NULL;
}
#endif
