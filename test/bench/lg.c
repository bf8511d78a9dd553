// A load generator: one thread, epoll, HTTP/1.1 keep-alive, loopback only. Ends by itself; prints one line of JSON. Times in microseconds.
//
//   lg rate PORT CONNECTIONS RATE SECONDS BODY_FILE [HEADER_FILE]   open loop: arrivals at random (fixed seed), latency counted from
//                                                                   the intended time, so a stall is not hidden by waiting for it
//   lg loop PORT COUNT SECONDS BODY_FILE [HEADER_FILE]              closed loop: COUNT at a time, each begun anew when it ends, begun over 1 s
//   lg sse PORT COUNT SECONDS BODY_FILE [HEADER_FILE]               the same with streams, whose events are timed
//
// HEADER_FILE holds whole header lines, each ended by CR LF. Events are found by the "@T=<20 digits>@" that mock.c puts into them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
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

enum { HEAD_BYTES = 65536, MARK_BYTES = 24, PENDING = 1 << 20 };
static const uint64_t GRACE_NS = 15000000000ull; // for what is under way when the time is up

struct conn {
  int fd, index, busy, written, wants_write;
  uint64_t started_ns;
  int in_body, chunked;
  long body_left;
  char head[HEAD_BYTES], tail[5];
  int head_length;
  char carry[MARK_BYTES]; // end of the last piece, where it may be the beginning of a mark
  int carry_length, seen_event;
};

struct samples {
  uint32_t *values;
  long count, capacity;
};

static int poll_fd, streaming, looping, connection_count;
static struct conn *connections;
static struct sockaddr_in target;
static char *request;
static int request_length;
static int *idle, idle_count;
static uint64_t pending[PENDING], end_ns;
static unsigned pending_first, pending_last;
static struct samples latency, first_event, event_delay;
static long ok, bad, errors;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void add(struct samples *s, uint64_t ns) {
  if (s->count == s->capacity) {
    s->capacity = s->capacity ? s->capacity * 2 : 65536;
    s->values = realloc(s->values, s->capacity * sizeof *s->values);
  }
  s->values[s->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static double percentile(const struct samples *s, double p) {
  return s->count ? s->values[(long)(p * (s->count - 1))] / 1e3 : 0;
}

static void open_conn(struct conn *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (void *)&target, sizeof target)) {
    perror("lg: connect");
    exit(1);
  }
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e);
  c->busy = c->wants_write = 0;
}

static void write_request(struct conn *c) {
  while (c->written < request_length) {
    ssize_t sent = send(c->fd, request + c->written, request_length - c->written, MSG_NOSIGNAL);
    if (sent < 0) break; // a broken connection shows when it is read
    c->written += sent;
  }
  int wants = c->written < request_length;
  if (wants == c->wants_write) return;
  struct epoll_event e = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
  c->wants_write = wants;
}

static void begin(struct conn *c, uint64_t started_ns) {
  c->busy = 1;
  c->started_ns = started_ns;
  c->written = c->in_body = c->chunked = c->head_length = c->carry_length = c->seen_event = 0;
  c->body_left = -1;
  memset(c->tail, 0, sizeof c->tail);
  write_request(c);
}

static void next_request(struct conn *c) {
  c->busy = 0;
  uint64_t now = now_ns();
  if (looping) {
    if (now < end_ns) begin(c, now);
  } else if (pending_first != pending_last) {
    begin(c, pending[pending_first++ % PENDING]);
  } else {
    idle[idle_count++] = c->index;
  }
}

static void finish(struct conn *c) {
  ok++;
  if (!streaming) add(&latency, now_ns() - c->started_ns);
  next_request(c);
}

static void fail(struct conn *c) {
  errors++;
  open_conn(c);
  next_request(c);
}

static void count_event(struct conn *c, const char *mark, uint64_t now) {
  add(&event_delay, now - strtoull(mark + 3, NULL, 10));
  if (!c->seen_event) add(&first_event, now - c->started_ns);
  c->seen_event = 1;
}

// A piece may end inside a mark: its end is kept and read again together with the next piece.
static void find_events(struct conn *c, const char *bytes, int length, uint64_t now) {
  static char joined[MARK_BYTES + HEAD_BYTES];
  memcpy(joined, c->carry, c->carry_length);
  memcpy(joined + c->carry_length, bytes, length);
  const char *at = joined, *end = joined + c->carry_length + length;
  for (const char *mark; (mark = memmem(at, end - at, "@T=", 3)) && mark + MARK_BYTES <= end; at = mark + MARK_BYTES)
    count_event(c, mark, now);
  c->carry_length = end - at < MARK_BYTES ? end - at : MARK_BYTES - 1;
  memcpy(c->carry, end - c->carry_length, c->carry_length);
}

static int ends_chunked(struct conn *c, const char *bytes, int length) {
  if (length >= 5) {
    memcpy(c->tail, bytes + length - 5, 5);
  } else {
    memmove(c->tail, c->tail + length, 5 - length);
    memcpy(c->tail + 5 - length, bytes, length);
  }
  return !memcmp(c->tail, "0\r\n\r\n", 5);
}

static void read_body(struct conn *c, const char *bytes, int length, uint64_t now) {
  if (streaming) find_events(c, bytes, length, now);
  if (c->chunked) {
    if (ends_chunked(c, bytes, length)) finish(c);
  } else {
    c->body_left -= length;
    if (c->body_left <= 0) finish(c);
  }
}

static void read_head(struct conn *c, const char *bytes, int length, uint64_t now) {
  if (c->head_length + length > HEAD_BYTES) length = HEAD_BYTES - c->head_length;
  memcpy(c->head + c->head_length, bytes, length);
  c->head_length += length;
  char *end = memmem(c->head, c->head_length, "\r\n\r\n", 4);
  if (!end) return;
  c->in_body = 1;
  c->body_left = 0;
  if (memcmp(c->head + 9, "200", 3) && bad++ == 0) fprintf(stderr, "lg: %.600s\n", c->head);
  for (char *line = c->head; line < end;) {
    if (!strncasecmp(line, "content-length:", 15)) c->body_left = atol(line + 15);
    else if (!strncasecmp(line, "transfer-encoding:", 18)) c->chunked = 1;
    line = (char *)memmem(line, end - line + 2, "\r\n", 2) + 2;
  }
  int head_bytes = end + 4 - c->head, rest = c->head_length - head_bytes;
  if (rest > 0 || (!c->chunked && c->body_left == 0)) read_body(c, c->head + head_bytes, rest, now);
}

static void on_readable(struct conn *c) {
  static char bytes[HEAD_BYTES];
  for (;;) {
    ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      if (c->busy) fail(c);
      else open_conn(c);
      return;
    }
    if (!c->busy) {
      errors++;
      return;
    }
    if (c->in_body) read_body(c, bytes, got, now_ns());
    else read_head(c, bytes, got, now_ns());
    if (got < (ssize_t)sizeof bytes) return;
  }
}

static char *read_file(const char *path, long *length) {
  FILE *f = fopen(path, "r");
  if (!f) {
    perror(path);
    exit(2);
  }
  fseek(f, 0, SEEK_END);
  *length = ftell(f);
  rewind(f);
  char *out = calloc(1, *length + 1);
  if (fread(out, 1, *length, f) != (size_t)*length) exit(2);
  fclose(f);
  return out;
}

static void make_request(int port, const char *body_file, const char *header_file) {
  long body_length, headers_length = 0;
  char *body = read_file(body_file, &body_length);
  char *headers = header_file ? read_file(header_file, &headers_length) : "";
  request = malloc(body_length + headers_length + 512);
  request_length = sprintf(request,
                           "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: lg\r\nAccept: application/json\r\n"
                           "Content-Type: application/json\r\n%sContent-Length: %ld\r\n\r\n",
                           port, headers, body_length);
  memcpy(request + request_length, body, body_length);
  request_length += body_length;
}

static void open_all(int count) {
  connection_count = count;
  connections = calloc(count, sizeof *connections);
  idle = calloc(count, sizeof *idle);
  for (int i = 0; i < count; i++) {
    connections[i].fd = -1;
    connections[i].index = i;
    open_conn(&connections[i]);
    idle[idle_count++] = i;
  }
}

static void wait_and_handle(uint64_t wait_ns) {
  struct epoll_event events[1024];
  struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
  int n = epoll_pwait2(poll_fd, events, 1024, &wait, NULL);
  for (int i = 0; i < n; i++) {
    struct conn *c = events[i].data.ptr;
    if (events[i].events & EPOLLOUT && c->busy) write_request(c);
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
  }
}

static void run_rate(double rate) {
  double next = now_ns();
  long scheduled = 0;
  srand48(42);
  for (;;) {
    uint64_t now = now_ns();
    for (; next <= now && next < end_ns; next += -log(1 - drand48()) / rate * 1e9, scheduled++) {
      if (idle_count) begin(&connections[idle[--idle_count]], (uint64_t)next);
      else pending[pending_last++ % PENDING] = (uint64_t)next;
    }
    if (now >= end_ns && (ok + errors >= scheduled || now > end_ns + GRACE_NS)) return;
    wait_and_handle(next < end_ns ? (next > now ? (uint64_t)next - now : 0) : 1000000);
  }
}

static int busy_count(void) {
  int busy = 0;
  for (int i = 0; i < connection_count; i++) busy += connections[i].busy;
  return busy;
}

static void run_loop(void) {
  uint64_t start = now_ns();
  int begun = 0;
  for (;;) {
    uint64_t now = now_ns();
    int due = (int)((now - start) / 1e9 * connection_count) + 1;
    while (begun < due && begun < connection_count) begin(&connections[begun++], now_ns());
    if (now >= end_ns && (busy_count() == 0 || now > end_ns + GRACE_NS)) return;
    wait_and_handle(begun < connection_count ? 1000000 : 20000000);
  }
}

static void print_result(double seconds) {
  struct samples *all[] = {&latency, &first_event, &event_delay};
  for (int i = 0; i < 3; i++) qsort(all[i]->values, all[i]->count, sizeof *all[i]->values, ascending);
  const struct samples *s = streaming ? &event_delay : &latency;
  printf("{\"ok\":%ld,\"bad\":%ld,\"errors\":%ld,\"unfinished\":%d,\"seconds\":%.3f,\"events\":%ld,"
         "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"firstEventP50\":%.1f,\"firstEventP99\":%.1f}\n",
         ok, bad, errors, busy_count(), seconds, event_delay.count, percentile(s, .5), percentile(s, .9), percentile(s, .99),
         percentile(s, .999), percentile(s, 1), percentile(&first_event, .5), percentile(&first_event, .99));
}

int main(int count, char **arguments) {
  const char *mode = count > 1 ? arguments[1] : "";
  streaming = !strcmp(mode, "sse");
  looping = streaming || !strcmp(mode, "loop");
  int last = looping ? 5 : 6; // the body file's position
  if (count <= last || (!looping && strcmp(mode, "rate"))) {
    fprintf(stderr, "usage: lg rate PORT CONNECTIONS RATE SECONDS BODY [HEADERS] | lg loop|sse PORT COUNT SECONDS BODY [HEADERS]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  int port = atoi(arguments[2]);
  make_request(port, arguments[last], count > last + 1 ? arguments[last + 1] : NULL);
  target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  poll_fd = epoll_create1(0);
  open_all(atoi(arguments[3]));
  uint64_t start = now_ns();
  end_ns = start + (uint64_t)(atof(arguments[last - 1]) * 1e9);
  if (looping) run_loop();
  else run_rate(atof(arguments[4]));
  print_result((now_ns() - start) / 1e9);
  return 0;
}
