// A fake model provider for benchmarks: cheap enough not to be the limit.
//
//   upstream PORT CHUNKS INTERVAL_US DELAY_US
//
// A plain POST is answered with a fixed chat completion after DELAY_US. One whose body says "stream":true is answered with
// CHUNKS content chunks, INTERVAL_US apart, each with the time of its writing in nanoseconds, then a usage chunk and [DONE].
#include "common.h"

enum { CAPACITY = 256 * 1024, MAX_FDS = 65536 };

typedef struct {
  int fd, left;  // chunks left to stream, 0 when idle
  int plain;     // a plain answer is due
  uint64_t due;
  size_t size;
  char *in;
} Client;

static Client *clients[MAX_FDS];
static int active[MAX_FDS], active_count, chunk_count, epoll;
static uint64_t interval, delay;
static char plain_answer[4096];
static size_t plain_size;

static const char *completion =
    "{\"id\":\"chatcmpl-9xYk3mQpLr7TzWv2BnHs8dFj\",\"object\":\"chat.completion\",\"created\":1763942400,\"model\":\"gpt-4o-mini-2024-07-18\","
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The harbour wakes before the town does. Gulls argue over the "
    "first boats, the ice machine coughs, and somebody is always looking for a rope that was here yesterday. By seven the fish are "
    "sold, the coffee is strong, and the tide has already changed its mind.\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,"
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":182,\"completion_tokens\":57,\"total_tokens\":239,\"prompt_tokens_details\":"
    "{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},"
    "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\"}";

static const char *stream_head =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\nx-request-id: req_1\r\n\r\n";
static const char *envelope =
    "{\"id\":\"chatcmpl-9xYk3mQpLr7TzWv2BnHs8dFj\",\"object\":\"chat.completion.chunk\",\"created\":1763942400,"
    "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\",\"t\":%llu,\"choices\":[%s],\"usage\":%s}";

static void send_all(Client *c, const char *data, size_t size) {
  while (size) {
    ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN) { usleep(50); continue; }
      c->left = 0;
      return;
    }
    data += n;
    size -= (size_t)n;
  }
}

static void send_event(Client *c, const char *choices, const char *usage, const char *tail) {
  char event[1024], frame[1400];
  int n = snprintf(event, sizeof event, "data: ");
  n += snprintf(event + n, sizeof event - (size_t)n, envelope, (unsigned long long)now_ns(), choices, usage);
  n += snprintf(event + n, sizeof event - (size_t)n, "\n\n%s", tail);
  int size = snprintf(frame, sizeof frame, "%x\r\n%s\r\n", n, event);
  send_all(c, frame, (size_t)size);
}

static void forget(Client *c) {
  for (int i = 0; i < active_count; i++)
    if (active[i] == c->fd) { active[i] = active[--active_count]; break; }
  c->left = c->plain = 0;
}

static void step(Client *c) {
  if (c->plain) {
    send_all(c, plain_answer, plain_size);
    forget(c);
    return;
  }
  c->left--;
  if (c->left > 1) {
    char choices[128];  // some clients end a stream that repeats itself, so the text changes
    snprintf(choices, sizeof choices, "{\"index\":0,\"delta\":{\"content\":\" harbour%d\"},\"logprobs\":null,\"finish_reason\":null}", c->left % 10);
    send_event(c, choices, "null", "");
  } else if (c->left == 1) {
    send_event(c, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}", "null", "");
  } else {
    send_event(c, "", "{\"prompt_tokens\":182,\"completion_tokens\":150,\"total_tokens\":332}", "data: [DONE]\n\n");
    send_all(c, "0\r\n\r\n", 5);
    forget(c);
    return;
  }
  c->due += interval;
}

static void answer(Client *c, int stream) {
  if (!stream && !delay) {
    send_all(c, plain_answer, plain_size);
    return;
  }
  c->plain = !stream;
  c->due = now_ns() + (stream ? interval : delay);
  if (stream) {
    c->left = chunk_count + 2;
    send_all(c, stream_head, strlen(stream_head));
  }
  active[active_count++] = c->fd;
}

static void readable(Client *c) {
  for (;;) {
    ssize_t n = recv(c->fd, c->in + c->size, CAPACITY - 1 - c->size, 0);
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      forget(c);
      close(c->fd);
      clients[c->fd] = NULL;
      free(c->in);
      free(c);
      return;
    }
    c->size += (size_t)n;
  }
  for (;;) {
    c->in[c->size] = 0;
    char *end = memmem(c->in, c->size, "\r\n\r\n", 4);
    if (!end) return;
    const char *length = header(c->in, end, "content-length:");
    size_t whole = (size_t)(end + 4 - c->in) + (length ? strtoul(length, NULL, 10) : 0);
    if (c->size < whole) return;
    int stream = memmem(end, whole - (size_t)(end - c->in), "\"stream\":true", 13) != NULL;
    memmove(c->in, c->in + whole, c->size - whole);
    c->size -= whole;
    answer(c, stream);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) { fprintf(stderr, "usage: upstream PORT CHUNKS INTERVAL_US DELAY_US\n"); return 2; }
  chunk_count = atoi(argv[2]);
  interval = strtoull(argv[3], NULL, 10) * 1000;
  delay = strtoull(argv[4], NULL, 10) * 1000;
  plain_size = (size_t)snprintf(plain_answer, sizeof plain_answer,
                                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\nx-request-id: req_1\r\n\r\n%s",
                                strlen(completion), completion);
  int listening = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listening, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  if (listen(listening, 4096) < 0) die("listen");
  fcntl(listening, F_SETFL, O_NONBLOCK);
  epoll = epoll_create1(0);
  struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listening}, ready[512];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &wanted);
  for (;;) {
    int count = epoll_wait(epoll, ready, 512, active_count ? 1 : 1000);
    for (int i = 0; i < count; i++) {
      int fd = ready[i].data.fd;
      if (fd != listening) { readable(clients[fd]); continue; }
      while ((fd = accept(listening, NULL, NULL)) >= 0) {
        tune(fd);
        Client *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->in = malloc(CAPACITY);
        clients[fd] = c;
        struct epoll_event in = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in);
      }
    }
    uint64_t now = active_count ? now_ns() : 0;
    for (int i = active_count - 1; i >= 0; i--) {
      Client *c = clients[active[i]];
      if (c->due <= now) step(c);
    }
  }
}
