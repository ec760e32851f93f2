/* What runs in the test pods of the native driver: it dials, or it listens, and says on stdout what happened.
 *
 *   probe dial LABEL PROTOCOL ADDRESS PORT ...   all at once, 1.5 s each: "LABEL open|<errno name>", then waits
 *   probe serve NAME PORT                        TCP and UDP, IPv4 and IPv6: answers NAME, says "heard PROTOCOL"
 *   probe mount FOLDER                           makes FOLDER, mounts an empty file system on it, waits
 *
 * PROTOCOL: tcp4, udp4 (open: something came back), tcp6, udp6 (ADDRESS with %interface for link-local).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static socklen_t address(const char *text, int port, int six, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (!six) {
        struct sockaddr_in *a = (void *)out;
        a->sin_family = AF_INET, a->sin_port = htons(port);
        inet_pton(AF_INET, text, &a->sin_addr);
        return sizeof *a;
    }
    struct sockaddr_in6 *a = (void *)out;
    char copy[128];
    snprintf(copy, sizeof copy, "%s", text);
    char *zone = strchr(copy, '%');
    if (zone) *zone++ = 0, a->sin6_scope_id = if_nametoindex(zone);
    a->sin6_family = AF_INET6, a->sin6_port = htons(port);
    inet_pton(AF_INET6, copy, &a->sin6_addr);
    return sizeof *a;
}

static const char *dial(const char *protocol, const char *host, int port) {
    static const char query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\12kubernetes\7default\3svc\7cluster\5local\0\0\1\0\1";
    int six = protocol[3] == '6', udp = protocol[0] == 'u', error = 0;
    struct sockaddr_storage to;
    socklen_t size = address(host, port, six, &to), length = sizeof error;
    int fd = socket(six ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
    if (fd < 0) return strerrorname_np(errno);
    if (connect(fd, (void *)&to, size) && errno != EINPROGRESS) return strerrorname_np(errno);
    if (udp && send(fd, query, sizeof query - 1, 0) < 0) return strerrorname_np(errno);
    struct pollfd wait = {fd, udp ? POLLIN : POLLOUT, 0};
    if (poll(&wait, 1, 1500) == 0) return "ETIMEDOUT";
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error ? strerrorname_np(error) : "open";
}

static int listener(int kind, int port) {
    struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = socket(AF_INET6, kind, 0), off = 0, on = 1;
    if (fd < 0) exit(3);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (void *)&here, sizeof here)) exit(4);
    if (kind == SOCK_STREAM && listen(fd, 64)) exit(5);
    return fd;
}

static void show_addresses(void) {
    char line[256], bytes[64], name[64];
    FILE *table = fopen("/proc/net/if_inet6", "r");
    while (table && fgets(line, sizeof line, table))
        if (sscanf(line, "%63s %*s %*s %*s %*s %63s", bytes, name) == 2 && !strncmp(bytes, "fe80", 4)) {
            printf("link-local ");
            for (int i = 0; i < 32; i += 4) printf("%.4s%s", bytes + i, i < 28 ? ":" : "\n");
        }
}

static void serve(const char *name, int port) {
    struct pollfd both[2] = {{listener(SOCK_STREAM, port), POLLIN, 0}, {listener(SOCK_DGRAM, port), POLLIN, 0}};
    sleep(2); /* IPv6 addresses are tentative for a moment */
    show_addresses();
    puts("serving");
    for (;;) {
        poll(both, 2, -1);
        if (both[0].revents) {
            int peer = accept(both[0].fd, 0, 0);
            if (peer >= 0) (void)!write(peer, name, strlen(name)), close(peer);
            puts("heard tcp");
        }
        if (both[1].revents) {
            char data[512];
            struct sockaddr_storage from;
            socklen_t size = sizeof from;
            if (recvfrom(both[1].fd, data, sizeof data, 0, (void *)&from, &size) >= 0)
                sendto(both[1].fd, name, strlen(name), 0, (void *)&from, size);
            puts("heard udp");
        }
    }
}

static void bye(int number) { _exit(number == SIGTERM ? 0 : 1); }

int main(int count, char **words) {
    setvbuf(stdout, 0, _IOLBF, 0);
    signal(SIGTERM, bye);
    if (count == 4 && !strcmp(words[1], "serve")) serve(words[2], atoi(words[3]));
    if (count == 3 && !strcmp(words[1], "mount")) {
        mkdir(words[2], 0755);
        puts(mount("probe", words[2], "tmpfs", 0, "size=64k") ? strerrorname_np(errno) : "mounted");
        for (;;) pause();
    }
    printf("uid_map ");
    char line[128] = "";
    FILE *map = fopen("/proc/self/uid_map", "r");
    if (map && fgets(line, sizeof line, map)) printf("%s", line);
    for (int i = 2; i + 3 < count; i += 4)
        if (!fork()) {
            const char *result = dial(words[i + 1], words[i + 2], atoi(words[i + 3]));
            printf("%s %s\n", words[i], result);
            fflush(stdout);
            _exit(0);
        }
    while (wait(0) > 0);
    puts("done");
    for (;;) pause();
}
