// A load generator: POSTs one body over kept connections and checks every answer.
//
//   load PORT PATH BODY_FILE CONNECTIONS SECONDS [RATE]
//
// Closed loop without RATE (each connection sends as soon as it is answered); with RATE requests a second, on schedule.
// Prints one JSON object: answers, failures (not 200, or the connection was lost), latency in microseconds, events a stream
// (min and max must agree), and the time from the upstream's writing of a chunk to its arrival here.
#include "common.h"

enum { CAPACITY = 64 * 1024, SAMPLES = 1 << 21 };

typedef struct {
  int fd, busy, status, chunked, in_head;
  long left;       // bytes of body or of the current chunk still to come
  int chunk_state; // 0 size line, 1 data, 2 line end after data, 3 trailer
  long events;
  uint64_t sent;
  size_t head_size, line_size;
  char head[8192], line[64];
  size_t match, digits;
  uint64_t stamp;
} Conn;

static uint32_t *latency, *relay;
static long latencies, relays, ok, failed, total_events, events_min = -1, events_max;
static char *request;
static size_t request_size;
static int port, epoll;

static void note(uint32_t *into, long *count, uint64_t ns) {
  if (*count < SAMPLES) into[(*count)++] = (uint32_t)(ns / 1000);
}

static void open_conn(Conn *c) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0) die("connect");
  tune(c->fd);
  c->busy = 0;
  struct epoll_event in = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &in);
}

static void send_request(Conn *c, uint64_t since) {
  size_t done = 0;
  c->busy = c->in_head = 1;
  c->head_size = c->line_size = c->match = c->digits = 0;
  c->events = 0;
  c->sent = since;
  while (done < request_size) {
    ssize_t n = send(c->fd, request + done, request_size - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) { usleep(20); continue; }
    if (n < 0) return;
    done += (size_t)n;
  }
}

// Count "data: " and read the stamps "t":NANOSECONDS, across any cut.
static void scan(Conn *c, const char *p, size_t n) {
  static const char mark[] = "data: ", stamp[] = "\"t\":";
  for (size_t i = 0; i < n; i++) {
    char ch = p[i];
    if (c->digits) {
      if (ch >= '0' && ch <= '9') { c->stamp = c->stamp * 10 + (uint64_t)(ch - '0'); continue; }
      uint64_t now = now_ns();
      if (c->stamp && now > c->stamp) note(relay, &relays, now - c->stamp);
      c->digits = 0;
    }
    size_t low = c->match & 0xff, high = c->match >> 8;
    low = ch == mark[low] ? low + 1 : (ch == mark[0]);
    high = ch == stamp[high] ? high + 1 : (ch == stamp[0]);
    if (low == sizeof mark - 1) { c->events++; low = 0; }
    if (high == sizeof stamp - 1) { c->digits = 1; c->stamp = 0; high = 0; }
    c->match = low | (high << 8);
  }
}

static void finished(Conn *c) {
  c->busy = 0;
  note(latency, &latencies, now_ns() - c->sent);
  if (c->status == 200) ok++; else failed++;
  if (c->events) {
    total_events += c->events;
    if (events_min < 0 || c->events < events_min) events_min = c->events;
    if (c->events > events_max) events_max = c->events;
  }
}

static size_t feed_chunked(Conn *c, const char *p, size_t n) {
  size_t i = 0;
  while (i < n && c->busy) {
    if (c->chunk_state == 1) {
      size_t take = (size_t)c->left < n - i ? (size_t)c->left : n - i;
      scan(c, p + i, take);
      i += take;
      c->left -= (long)take;
      if (!c->left) c->chunk_state = 2;
      continue;
    }
    char ch = p[i++];
    if (ch != '\n') { if (c->line_size < sizeof c->line - 1) c->line[c->line_size++] = ch; continue; }
    c->line[c->line_size] = 0;
    c->line_size = 0;
    if (c->chunk_state == 2) { c->chunk_state = 0; continue; }
    if (c->chunk_state == 3) { if (c->line[0] == '\r' || !c->line[0]) finished(c); continue; }
    c->left = strtol(c->line, NULL, 16);
    c->chunk_state = c->left ? 1 : 3;
  }
  return i;
}

static void feed(Conn *c, const char *p, size_t n) {
  if (c->in_head) {
    size_t take = n < sizeof c->head - 1 - c->head_size ? n : sizeof c->head - 1 - c->head_size, before = c->head_size;
    memcpy(c->head + before, p, take);
    c->head_size += take;
    c->head[c->head_size] = 0;
    char *end = memmem(c->head, c->head_size, "\r\n\r\n", 4);
    if (!end) return;
    c->in_head = 0;
    c->status = atoi(c->head + 9);
    const char *length = header(c->head, end, "content-length:");
    c->chunked = !length;
    c->chunk_state = 0;
    c->left = length ? strtol(length, NULL, 10) : 0;
    size_t used = (size_t)(end + 4 - c->head) - before;
    p += used;
    n -= used;
    if (length && !c->left) { finished(c); return; }
  }
  if (c->chunked) { feed_chunked(c, p, n); return; }
  c->left -= (long)n;
  if (c->left <= 0) finished(c);
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t at(uint32_t *values, long count, double share) {
  return count ? values[(long)((double)(count - 1) * share)] : 0;
}

int main(int argc, char **argv) {
  if (argc < 6) { fprintf(stderr, "usage: load PORT PATH BODY_FILE CONNECTIONS SECONDS [RATE]\n"); return 2; }
  port = atoi(argv[1]);
  int count = atoi(argv[4]);
  double seconds = atof(argv[5]), rate = argc > 6 ? atof(argv[6]) : 0;
  FILE *file = fopen(argv[3], "rb");
  if (!file) die(argv[3]);
  static char body[CAPACITY * 4];
  size_t size = fread(body, 1, sizeof body, file);
  request = malloc(size + 1024);
  request_size = (size_t)sprintf(request,
      "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: application/json\r\naccept-encoding: identity\r\n"
      "authorization: Bearer sk-bench-0123456789abcdef0123456789abcdef\r\nuser-agent: bench/1\r\nx-portkey-provider: openai\r\n"
      "x-portkey-custom-host: http://127.0.0.1:%s/v1\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
      argv[2], port, getenv("UPSTREAM_PORT") ? getenv("UPSTREAM_PORT") : "0", size);
  memcpy(request + request_size, body, size);
  request_size += size;
  latency = malloc(sizeof *latency * SAMPLES);
  relay = malloc(sizeof *relay * SAMPLES);
  epoll = epoll_create1(0);
  Conn *conns = calloc((size_t)count, sizeof *conns);
  for (int i = 0; i < count; i++) open_conn(&conns[i]);
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), gap = rate > 0 ? (uint64_t)(1e9 / rate) : 0, due = start;
  if (!gap) for (int i = 0; i < count; i++) send_request(&conns[i], now_ns());
  struct epoll_event ready[512];
  static char buffer[CAPACITY];
  for (;;) {
    uint64_t now = now_ns();
    int busy = 0;
    for (int i = 0; i < count; i++) busy += conns[i].busy;
    if (now >= end && (!busy || now >= end + 5000000000ull)) break;
    if (gap)
      for (int i = 0; i < count && now < end && due <= now; i++)
        if (!conns[i].busy) { send_request(&conns[i], busy >= count ? due : now_ns()); busy++; due += gap; }
    int n = epoll_wait(epoll, ready, 512, gap ? 0 : 10);
    for (int i = 0; i < n; i++) {
      Conn *c = ready[i].data.ptr;
      ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) {
        if (c->busy) failed++;
        close(c->fd);
        open_conn(c);
      } else {
        feed(c, buffer, (size_t)got);
      }
      if (!c->busy && !gap && now_ns() < end) send_request(c, now_ns());
    }
  }
  double took = (double)(now_ns() - start) / 1e9;
  qsort(latency, (size_t)latencies, sizeof *latency, by_value);
  qsort(relay, (size_t)relays, sizeof *relay, by_value);
  printf("{\"ok\":%ld,\"failed\":%ld,\"seconds\":%.3f,\"p50_us\":%u,\"p99_us\":%u,\"events\":%ld,\"events_min\":%ld,\"events_max\":%ld,"
         "\"relay_p50_us\":%u,\"relay_p99_us\":%u}\n",
         ok, failed, took, at(latency, latencies, 0.5), at(latency, latencies, 0.99), total_events, events_min < 0 ? 0 : events_min,
         events_max, at(relay, relays, 0.5), at(relay, relays, 0.99));
  return 0;
}
