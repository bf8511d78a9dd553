// A model server for benchmarks: one thread, epoll, HTTP/1.1, about 6 microseconds a request, so that it is never what is measured.
//
//   mock PORT:unary:BYTES ...              answers every POST with one chat completion of BYTES bytes
//   mock PORT:sse:EVENTS:GAP_MS:BYTES ...  answers every POST with EVENTS server-sent events of BYTES bytes, GAP_MS apart
//
// Any number of ports. GET (health, models, metrics) is answered on every port. Each event carries "@T=<20 digits>@" in its id: the
// monotonic nanosecond of its sending, from which lg.c computes how long it was on its way. Listens on loopback only.
// Chunked request bodies are recognised by their last bytes, so they may not hold "0\r\n\r\n" elsewhere.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PORTS = 64, MAX_EVENT = 4096, MAX_UNSENT = 1 << 20 };
enum state { HEAD, BODY, CHUNKED_BODY, STREAMING };

struct conn;

struct port {
  int fd, events, bytes; // events > 0: streams
  uint64_t gap_ns;
  char *answer;
  int answer_length;
  struct conn *first, *last; // streams by time of their next event: one gap a port, so a queue is enough
};

struct conn {
  int fd, is_get, queued, dead, sent;
  struct port *port;
  enum state state;
  char in[16384], tail[5];
  int in_length;
  long body_left;
  uint64_t next_ns;
  struct conn *next;
  char *out; // what the socket would not take yet
  int out_length, out_offset;
};

static int poll_fd;
static struct port ports[MAX_PORTS];
static int port_count;
static char *get_answer;
static int get_answer_length;

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    "x-request-id: req_0123456789abcdef\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char STREAM_END[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void listen_for(struct conn *c, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void discard(struct conn *c) {
  free(c->out);
  free(c);
}

// A queued stream is freed by the queue, when its turn comes.
static void close_conn(struct conn *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  c->dead = 1;
}

static void keep_unsent(struct conn *c, const char *bytes, int length) {
  int had = c->out_length - c->out_offset;
  if (had + length > MAX_UNSENT) {
    close_conn(c);
    return;
  }
  char *joined = malloc(had + length);
  if (had > 0) memcpy(joined, c->out + c->out_offset, had);
  memcpy(joined + had, bytes, length);
  free(c->out);
  c->out = joined;
  c->out_length = had + length;
  c->out_offset = 0;
  listen_for(c, EPOLLIN | EPOLLOUT);
}

static void send_bytes(struct conn *c, const char *bytes, int length) {
  if (c->dead) return;
  ssize_t sent = 0;
  if (c->out_length == c->out_offset) {
    sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
      close_conn(c);
      return;
    }
    if (sent < 0) sent = 0;
  }
  if (sent < length) keep_unsent(c, bytes + sent, length - sent);
}

static void send_unsent(struct conn *c) {
  ssize_t sent = send(c->fd, c->out + c->out_offset, c->out_length - c->out_offset, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) {
    close_conn(c);
    return;
  }
  if (sent > 0) c->out_offset += sent;
  if (c->out_offset == c->out_length) {
    c->out_offset = c->out_length = 0;
    listen_for(c, EPOLLIN);
  }
}

// One HTTP chunk that holds one event. Only the last event has a finish reason.
static int make_event(char *out, int bytes, int is_last) {
  char event[MAX_EVENT + 256];
  const char *end = is_last ? "\"},\"finish_reason\":\"stop\"}]}\n\n" : "\"},\"finish_reason\":null}]}\n\n";
  int end_length = strlen(end);
  int n = sprintf(event,
                  "data: {\"id\":\"chatcmpl-@T=%020llu@\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\","
                  "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
                  (unsigned long long)now_ns());
  while (n < bytes - end_length) event[n++] = 'x';
  memcpy(event + n, end, end_length);
  n += end_length;
  int head = sprintf(out, "%x\r\n", n);
  memcpy(out + head, event, n);
  memcpy(out + head + n, "\r\n", 2);
  return head + n + 2;
}

static void enqueue(struct conn *c) {
  struct port *p = c->port;
  c->next = NULL;
  c->queued = 1;
  if (p->last) p->last->next = c;
  else p->first = c;
  p->last = c;
}

static void send_event(struct conn *c) {
  char bytes[MAX_EVENT + 512];
  struct port *p = c->port;
  int is_last = ++c->sent == p->events;
  int n = make_event(bytes, p->bytes, is_last);
  if (is_last) {
    memcpy(bytes + n, STREAM_END, sizeof STREAM_END - 1);
    n += sizeof STREAM_END - 1;
  }
  send_bytes(c, bytes, n);
  if (is_last) c->state = HEAD;
  c->next_ns += p->gap_ns;
  if (!is_last && !c->dead) enqueue(c);
}

static void respond(struct conn *c) {
  c->state = HEAD;
  if (c->is_get) {
    send_bytes(c, get_answer, get_answer_length);
  } else if (c->port->events == 0) {
    send_bytes(c, c->port->answer, c->port->answer_length);
  } else {
    c->state = STREAMING;
    c->sent = 0;
    c->next_ns = now_ns();
    send_bytes(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    send_event(c);
  }
}

static void drop_input(struct conn *c, int length) {
  memmove(c->in, c->in + length, c->in_length - length);
  c->in_length -= length;
}

// Returns 0 when the head is not complete yet.
static int read_head(struct conn *c) {
  char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
  if (!end) {
    if (c->in_length == sizeof c->in) close_conn(c);
    return 0;
  }
  int chunked = 0, expects = 0;
  c->is_get = !memcmp(c->in, "GET ", 4);
  c->body_left = 0;
  for (char *line = c->in; line < end;) {
    char *line_end = memmem(line, end - line + 2, "\r\n", 2);
    if (!strncasecmp(line, "content-length:", 15)) c->body_left = atol(line + 15);
    else if (!strncasecmp(line, "transfer-encoding:", 18)) chunked = 1;
    else if (!strncasecmp(line, "expect:", 7)) expects = 1;
    line = line_end + 2;
  }
  drop_input(c, end + 4 - c->in);
  memset(c->tail, 0, sizeof c->tail);
  if (expects) send_bytes(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
  c->state = chunked ? CHUNKED_BODY : BODY;
  return 1;
}

static int read_chunked_body(struct conn *c) {
  for (int i = 0; i < c->in_length; i++) {
    memmove(c->tail, c->tail + 1, 4);
    c->tail[4] = c->in[i];
    if (memcmp(c->tail, "0\r\n\r\n", 5)) continue;
    drop_input(c, i + 1);
    return 1;
  }
  c->in_length = 0;
  return 0;
}

static int read_body(struct conn *c) {
  long taken = c->in_length < c->body_left ? c->in_length : c->body_left;
  c->body_left -= taken;
  drop_input(c, taken);
  return c->body_left == 0;
}

static void read_requests(struct conn *c) {
  while (!c->dead) {
    if (c->state == HEAD && (c->in_length == 0 || !read_head(c))) return;
    if (c->state == BODY && read_body(c)) respond(c);
    else if (c->state == CHUNKED_BODY && read_chunked_body(c)) respond(c);
    else return;
  }
}

static void on_readable(struct conn *c) {
  while (!c->dead && c->state != STREAMING) {
    ssize_t got = recv(c->fd, c->in + c->in_length, sizeof c->in - c->in_length, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close_conn(c);
      return;
    }
    c->in_length += got;
    read_requests(c);
  }
  char byte; // a client that goes away in the middle of its stream
  if (!c->dead && recv(c->fd, &byte, 1, MSG_PEEK) == 0) close_conn(c);
}

static void on_event(struct conn *c, uint32_t events) {
  if (events & EPOLLOUT) send_unsent(c);
  if (!c->dead && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
  if (c->dead && !c->queued) discard(c);
}

static void accept_all(struct port *p) {
  for (int fd; (fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    c->port = p;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e);
  }
}

static void send_due_events(struct port *p, uint64_t now) {
  while (p->first && p->first->next_ns <= now) {
    struct conn *c = p->first;
    p->first = c->next;
    if (!p->first) p->last = NULL;
    c->queued = 0;
    if (!c->dead) send_event(c);
    if (!c->dead && c->state == HEAD) read_requests(c);
    if (c->dead && !c->queued) discard(c);
  }
}

static char *with_head(const char *body, int length, int *total) {
  char *out = malloc(length + 512);
  int n = sprintf(out,
                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                  "x-request-id: req_0123456789abcdef\r\n\r\n",
                  length);
  memcpy(out + n, body, length);
  *total = n + length;
  return out;
}

static void make_answer(struct port *p, int bytes) {
  static const char END[] =
      "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":100,\"total_tokens\":300}}";
  char *body = malloc(bytes + 1024);
  int n = sprintf(body, "{\"id\":\"chatcmpl-123\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\","
                        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
  while (n < bytes - (int)sizeof END + 1) body[n++] = 'x';
  n += sprintf(body + n, "%s", END);
  p->answer = with_head(body, n, &p->answer_length);
  free(body);
}

static void open_port(const char *argument) {
  struct port *p = &ports[port_count++];
  int port, first, gap_ms = 0, bytes = 0;
  char mode[8];
  int fields = sscanf(argument, "%d:%7[a-z]:%d:%d:%d", &port, mode, &first, &gap_ms, &bytes);
  int streams = fields == 5 && !strcmp(mode, "sse") && gap_ms > 0 && bytes <= MAX_EVENT;
  if (!streams && !(fields == 3 && !strcmp(mode, "unary"))) {
    fprintf(stderr, "mock: cannot read \"%s\"\n", argument);
    exit(2);
  }
  if (streams) *p = (struct port){.events = first, .gap_ns = gap_ms * 1000000ull, .bytes = bytes};
  else make_answer(p, first);
  p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int on = 1;
  setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(p->fd, (void *)&address, sizeof address) || listen(p->fd, 4096)) {
    perror("mock: bind");
    exit(1);
  }
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, p->fd, &e);
}

static struct port *port_of(void *pointer) {
  struct port *p = pointer;
  return p >= ports && p < ports + MAX_PORTS ? p : NULL;
}

static struct timespec *until_next_event(struct timespec *out) {
  uint64_t next = UINT64_MAX, now = now_ns();
  for (int i = 0; i < port_count; i++)
    if (ports[i].first && ports[i].first->next_ns < next) next = ports[i].first->next_ns;
  if (next == UINT64_MAX) return NULL;
  uint64_t wait = next > now ? next - now : 0;
  *out = (struct timespec){.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
  return out;
}

int main(int count, char **arguments) {
  static const char MODELS[] = "{\"object\":\"list\",\"status\":\"ok\",\"data\":[{\"id\":\"m\",\"object\":\"model\",\"owned_by\":\"mock\"}]}\n";
  signal(SIGPIPE, SIG_IGN);
  poll_fd = epoll_create1(0);
  get_answer = with_head(MODELS, sizeof MODELS - 1, &get_answer_length);
  if (count < 2 || count - 1 > MAX_PORTS) {
    fprintf(stderr, "usage: mock PORT:unary:BYTES | PORT:sse:EVENTS:GAP_MS:BYTES ...\n");
    return 2;
  }
  for (int i = 1; i < count; i++) open_port(arguments[i]);
  puts("listening");
  fflush(stdout);
  struct epoll_event events[512];
  for (;;) {
    struct timespec wait;
    int n = epoll_pwait2(poll_fd, events, 512, until_next_event(&wait), NULL);
    for (int i = 0; i < n; i++) {
      struct port *p = port_of(events[i].data.ptr);
      if (p) accept_all(p);
      else on_event(events[i].data.ptr, events[i].events);
    }
    uint64_t now = now_ns();
    for (int i = 0; i < port_count; i++) send_due_events(&ports[i], now);
  }
}
