/* The gate: starts the algorithm in the algorithm's own image, and is the only thing of ours in there.
 *
 * It waits for the warden's go-ahead, runs the publisher's command line, tees its output into the log, hands
 * signals on, reaps what is orphaned, ends what writes or forks without measure, and ends as the algorithm ended. Static, because the image may have no libc;
 * not dumpable, so that the algorithm (same user) can neither trace it nor open its files through /proc. Nothing
 * it does is evidence: the algorithm's end is believed from Kubernetes alone.
 *
 *   gate --go=FILE --patience=SECONDS --log=FILE --cap=BYTES [--outputs=FOLDER] [--file=BYTES] [--scratch=FOLDER]
 *        [--live=no] -- COMMAND-LINE
 *
 * `file`: no file that the algorithm writes may grow beyond it, wherever the file lies. `scratch`: its working
 * directory where the image's own cannot be written. `live=no`: its output goes to the log alone, because what
 * Kubernetes keeps of a container's output can be read while the job runs, before anybody has judged it.
 *
 * Ends with the algorithm's exit code, 128+n if signal n ended it; 122 where it used up its processes and threads,
 * 123 where it wrote more than its log may hold (c2d_box/workflow/names.py knows both); 124 without a go-ahead, 126 for a line that
 * needs a shell where there is none, 127 for a program that is not there, 125 for a fault of its own.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIDS_LIMIT = 122, LOG_LIMIT = 123, NO_GO_AHEAD = 124, OWN_FAULT = 125, NEEDS_SHELL = 126, NOT_FOUND = 127 };
enum { POLL_MS = 5, DRAIN_MS = 500, WORDS = 1024 };
enum { PROBE_MS = 500, PROBES = 4 }; /* for so long without room for one process more, and it is over */
enum { SHARED = 5000, DEPTH = 40 }; /* more than the judge lets pass */

extern char **environ;

struct sink { int fd; unsigned long long left; int cut; };
struct options {
    const char *go, *log, *outputs, *scratch, *line;
    long patience;
    unsigned long long cap, file; /* bytes; 0: `file` is not limited */
    int silent;
};

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

static void say(const char *text)
{
    if (write(2, text, strlen(text)) < 0) {}
}

static int fail(int code, const char *text)
{
    say("gate: ");
    say(text);
    say("\n");
    return code;
}

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* -- the log */

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* a full disk must not end the algorithm's run */
        data += n;
        size -= (size_t)n;
    }
}

static void pour(struct sink *sink, const char *data, size_t size)
{
    static const char notice[] = "\n[gate: log limit reached, the algorithm is ended]\n";
    if (sink->fd < 0 || sink->cut) return;
    if (size > sink->left) {
        write_all(sink->fd, data, (size_t)sink->left);
        write_all(sink->fd, notice, sizeof notice - 1);
        sink->cut = 1;
        return;
    }
    write_all(sink->fd, data, size);
    sink->left -= size;
}

/* Takes what is there; 0 at the end of the stream. */
static int pass(int from, struct sink *log, struct sink *out)
{
    static char buffer[65536];
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return 0;
    pour(log, buffer, (size_t)n);
    pour(out, buffer, (size_t)n);
    return 1;
}

/* -- a command line without a shell: POSIX words and quotes; the same rules are in c2d_box/assets/command_line.py,
 *    which refuses a line before anybody pays for it. What a shell would not just hand on is refused. */

static const char needs_shell[] = "this image has no /bin/sh, and the entrypoint uses shell syntax";
static const char open_quote[] = "the entrypoint has an open quote";
/* Taken by a shell for its own where a command begins. */
static const char *const reserved[] = {
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while",
    ".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times",
    "trap", "unset", "alias", "bg", "cd", "command", "fg", "getopts", "hash", "jobs", "read", "type", "ulimit",
    "umask", "unalias", "wait",
};

/* The first word as it stands in the line, before quotes are taken off: is it a command of the shell's own? */
static int shells_own(const char *raw, size_t size)
{
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == size && memcmp(reserved[i], raw, size) == 0) return 1;
    size_t at = 0;
    while (at < size && (isalnum((unsigned char)raw[at]) || raw[at] == '_')) at++;
    return at > 0 && at < size && raw[at] == '=' && !isdigit((unsigned char)raw[0]);
}

/* Takes one word off quotes and escapes, in place; NULL, or why it cannot. */
static const char *word(char **from, char **to)
{
    char *f = *from, *t = *to;
    while (*f && *f != ' ' && *f != '\t') {
        if (*f == '\'') {
            for (f++; *f && *f != '\''; ) *t++ = *f++;
            if (!*f++) return open_quote;
        } else if (*f == '"') {
            for (f++; *f && *f != '"'; ) {
                if (*f == '\\' && f[1] && strchr("\\\"$`", f[1])) f++;
                else if (strchr("$`", *f) || (*f == '\\' && f[1] == '\n')) return needs_shell;
                *t++ = *f++;
            }
            if (!*f++) return open_quote;
        } else if (*f == '\\') {
            if (!f[1]) return open_quote;
            if (f[1] == '\n') return needs_shell;
            *t++ = f[1];
            f += 2;
        } else if (strchr("|&;<>()$`*?[\n", *f)) {
            return needs_shell;
        } else {
            *t++ = *f++;
        }
    }
    *from = f;
    *to = t;
    return NULL;
}

/* Splits `line` in place. Returns NULL and sets `why` where it cannot. */
static char **split(char *line, const char **why)
{
    static char *words[WORDS + 1];
    int count = 0;
    char *from = line + strspn(line, " \t"), *to = line;
    *why = NULL;
    while (*from) {
        if (count == WORDS) *why = "the entrypoint has too many words";
        else if (*from == '#' || *from == '~') *why = needs_shell;
        else {
            words[count] = to;
            *why = count == 0 && shells_own(from, strcspn(from, " \t")) ? needs_shell : word(&from, &to);
            count++;
        }
        if (*why) return NULL;
        from += strspn(from, " \t");
        *to++ = '\0';
    }
    words[count] = NULL;
    if (count == 0) *why = "the entrypoint is empty";
    return count ? words : NULL;
}

/* -- the algorithm's process */

/* Hard limits: nobody without capabilities raises them again. A file that reaches its limit fails with EFBIG, as a
 * full disk fails with ENOSPC; SIGXFSZ, ignored, does not end the program. A core dump would leave the memory of a
 * job on the node: a limit of one byte keeps the kernel from writing a file and from starting the node's handler
 * (a limit of zero does not stop a handler). */
static void set_limits(unsigned long long file)
{
    struct rlimit core = {1, 1}, size = {file, file};
    setrlimit(RLIMIT_CORE, &core);
    if (file == 0) return;
    setrlimit(RLIMIT_FSIZE, &size);
    signal(SIGXFSZ, SIG_IGN);
}

/* Two kinds of system call are not the algorithm's. Locks of open files (fcntl's F_OFD_*) belong to no process, and
 * the kernel lists them in /proc/locks for every container of the node: two jobs could talk by them, dozens of bits a
 * second. Other locks are listed where their process is. And the limits of the gate, which is the same user: with no
 * processor time left the kernel kills it, and the log and the exit code are lost. System calls of another
 * architecture are refused, since they would go round this. Structures and constants are those of linux/filter.h and
 * linux/seccomp.h, which musl does not have. */
#if defined(__x86_64__)
enum { OTHER_CALLS = 0x40000000 }; /* from here on: x32 */
static const unsigned native = 0xC000003E;
#elif defined(__aarch64__)
enum { OTHER_CALLS = 0x7fffffff };
static const unsigned native = 0xC00000B7;
#endif
struct filter_step { unsigned short code; unsigned char if_true, if_false; unsigned value; };
struct filter { unsigned short length; const struct filter_step *steps; };
enum { LOAD = 0x20, EQUAL = 0x15, AT_LEAST = 0x35, GREATER = 0x25, RETURN = 0x06 };
enum { CALL_NUMBER = 0, ARCHITECTURE = 4, FIRST_ARGUMENT = 16, SECOND_ARGUMENT = 24 };
#define ALLOWED 0x7fff0000u
#define FAILS_WITH(code) (0x00050000u | (code))

static int forbid_calls(pid_t gate)
{
    const struct filter_step steps[] = {
        {LOAD, 0, 0, ARCHITECTURE},
        {EQUAL, 0, 12, native},
        {LOAD, 0, 0, CALL_NUMBER},
        {AT_LEAST, 10, 0, OTHER_CALLS},
        {EQUAL, 4, 0, SYS_fcntl},
        {EQUAL, 0, 7, SYS_prlimit64},
        {LOAD, 0, 0, FIRST_ARGUMENT},
        {EQUAL, 0, 5, (unsigned)gate},
        {RETURN, 0, 0, FAILS_WITH(EPERM)},
        {LOAD, 0, 0, SECOND_ARGUMENT},
        {AT_LEAST, 0, 2, 36}, /* F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW */
        {GREATER, 1, 0, 38},
        {RETURN, 0, 0, FAILS_WITH(EINVAL)},
        {RETURN, 0, 0, ALLOWED},
        {RETURN, 0, 0, FAILS_WITH(ENOSYS)},
    };
    const struct filter filter = {sizeof steps / sizeof *steps, steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, 2, &filter) == 0;
}

/* Kubernetes tells every container where its API server is. An algorithm has no use for it. */
static void forget_cluster(void)
{
    static const char prefix[] = "KUBERNETES_";
    char **to = environ;
    for (char **from = environ; *from; from++)
        if (strncmp(*from, prefix, sizeof prefix - 1) != 0) *to++ = *from;
    *to = NULL;
}

/* Whether a word of the command line is a file, or a Python module, of the working directory. */
static int names_own_file(const char *line)
{
    static const char between[] = " \t\n;&|<>()\"'";
    char word[512];
    while (*(line += strspn(line, between))) {
        size_t size = strcspn(line, between);
        if (size < sizeof word - 3 && *line != '/') {
            memcpy(word, line, size);
            word[size] = '\0';
            if (access(word, F_OK) == 0 || access(strcat(word, ".py"), F_OK) == 0) return 1;
        }
        line += size;
    }
    return 0;
}

/* Programs write beside themselves (checkpoints, caches), and the image cannot be written. An entrypoint that names
 * a file of the image's own working directory stays there: it would not be found from anywhere else. */
static void enter_scratch(const char *scratch, const char *line)
{
    if (!scratch || access(".", W_OK) == 0 || names_own_file(line)) return;
    if (chdir(scratch) == 0) setenv("PWD", scratch, 1);
}

static void become_algorithm(const struct options *o, const sigset_t *mask)
{
    const char *why, *line = o->line;
    signal(SIGPIPE, SIG_DFL); /* what is ignored stays ignored through exec */
    sigprocmask(SIG_SETMASK, mask, NULL);
    set_limits(o->file);
    forget_cluster();
    enter_scratch(o->scratch, line);
    if (!forbid_calls(getppid())) _exit(fail(OWN_FAULT, "the kernel takes no filter of system calls"));
    if (access("/bin/sh", X_OK) == 0) {
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(fail(NOT_FOUND, "/bin/sh cannot be run"));
    }
    char *copy = strdup(line);
    char **words = copy ? split(copy, &why) : NULL;
    if (!words) _exit(fail(NEEDS_SHELL, copy ? why : "out of memory"));
    execvp(words[0], words);
    int code = errno == ENOENT ? NOT_FOUND : NEEDS_SHELL;
    say(words[0]);
    say(": ");
    _exit(fail(code, strerror(errno)));
}

static int ends_as(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* One process of ours, gone as soon as it is there: where there is no room for it, there is none for anybody. */
static int no_room(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid < 0 && errno == EAGAIN;
}

/* Reaps everybody; 1 when `child` was among them. */
static int reap(pid_t child, int *status)
{
    int ended = 0, found;
    pid_t pid;
    while ((pid = waitpid(-1, &found, WNOHANG)) > 0)
        if (pid == child) { *status = found; ended = 1; }
    return ended;
}

/* What the algorithm has left behind must not outlive it, nor keep its output open. */
static void end_the_rest(pid_t group)
{
    if (getpid() == 1) kill(-1, SIGKILL);
    else kill(-group, SIGKILL);
}

/* Which of two files has something: 1, 2 or 3; -1 for no file. Not poll: it refuses to work once the algorithm, who
 * is the same user, has set how many files the gate may have to none. */
static int heard(int one, int other, long long ms)
{
    fd_set ready;
    struct timeval patience = {ms / 1000, ms % 1000 * 1000};
    FD_ZERO(&ready);
    FD_SET(one, &ready);
    if (other >= 0) FD_SET(other, &ready);
    int found = select((one > other ? one : other) + 1, &ready, NULL, NULL, &patience);
    if (found <= 0) return found < 0 && errno != EINTR ? -1 : 0;
    return (FD_ISSET(one, &ready) ? 1 : 0) | (other >= 0 && FD_ISSET(other, &ready) ? 2 : 0);
}

static int attend(pid_t child, int signals, int output, struct sink *log, struct sink *out)
{
    static const char crowded[] = "\n[gate: no room for another process, the algorithm is ended]\n";
    int status = 0, ended = 0, refused = 0, limit = 0;
    long long until = now_ms() + PROBE_MS; /* the next probe; once it has ended, the last moment to listen */
    for (;;) {
        long long left = until - now_ms();
        if (ended && left <= 0) break;
        if (!ended && left <= 0) {
            refused = no_room() ? refused + 1 : 0;
            if (refused && !limit) limit = PIDS_LIMIT;
            if (refused == PROBES) {
                pour(log, crowded, sizeof crowded - 1);
                pour(out, crowded, sizeof crowded - 1);
                end_the_rest(child);
            }
            left = PROBE_MS;
            until = now_ms() + left;
        }
        int news = heard(signals, output, left);
        if (news < 0) {
            end_the_rest(child);
            return fail(OWN_FAULT, strerror(errno));
        }
        if (news & 1) {
            struct signalfd_siginfo info;
            if (read(signals, &info, sizeof info) == sizeof info) {
                if (info.ssi_signo != SIGCHLD) kill(-child, (int)info.ssi_signo);
                else if (!ended && reap(child, &status)) {
                    ended = 1;
                    end_the_rest(child);
                    until = now_ms() + DRAIN_MS;
                } else if (ended) reap(child, &status);
            }
        }
        if (news & 2 && !pass(output, log, out)) {
            output = -1; /* closed by all; its end may still be to come */
            if (ended) break;
        }
        if ((log->cut || out->cut) && limit != LOG_LIMIT) {
            limit = LOG_LIMIT;
            if (!ended) end_the_rest(child);
        }
    }
    int code = ends_as(status);
    return limit == LOG_LIMIT || (limit && code) ? limit : code;
}

/* -- the end */

/* Outputs are judged by another user of the same group. Programs that write through temporary files leave them
 * for their owner alone: that is no reason to refuse a job's results. Done when all the algorithm's processes are
 * gone, with no more rights than they had; nothing is followed, and there is an end to it. */
static void share(int folder, int depth, int *left)
{
    DIR *entries = fdopendir(folder);
    if (!entries) {
        close(folder);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(entries)) && --*left > 0) {
        struct stat facts;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (fstatat(folder, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (!S_ISDIR(facts.st_mode) && (!S_ISREG(facts.st_mode) || facts.st_nlink > 1)) continue;
        mode_t wanted = S_ISDIR(facts.st_mode) ? 0050 : 0040;
        if ((facts.st_mode & wanted) != wanted)
            fchmodat(folder, entry->d_name, (facts.st_mode & 07777) | wanted, 0);
        if (!S_ISDIR(facts.st_mode) || depth == 0) continue;
        int inner = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0) share(inner, depth - 1, left);
    }
    closedir(entries);
}

static void share_outputs(const char *path)
{
    int left = SHARED;
    int folder = path ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (folder >= 0) share(folder, DEPTH, &left);
}

static int run(const struct options *o, int signals, const sigset_t *mask)
{
    int pipe_ends[2];
    struct sink log = {open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640), o->cap, 0};
    struct sink out = {o->silent ? -1 : 1, o->cap, 0};
    if (log.fd < 0) say("gate: the log file cannot be written; output goes to the live log only\n");
    if (o->silent) say("gate: the output of this algorithm is not shown while it runs\n");
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) return fail(OWN_FAULT, strerror(errno));
    pid_t child = fork();
    if (child < 0) return fail(OWN_FAULT, strerror(errno));
    if (child == 0) {
        setpgid(0, 0);
        dup2(pipe_ends[1], 1);
        dup2(pipe_ends[1], 2);
        become_algorithm(o, mask);
    }
    setpgid(child, child); /* so that a signal can be handed on even before the child has done so itself */
    close(pipe_ends[1]);
    fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    int code = attend(child, signals, pipe_ends[0], &log, &out);
    share_outputs(o->outputs);
    if (log.fd >= 0) futimens(log.fd, NULL); /* the log's date tells the judge when the algorithm ended */
    return code;
}

/* -- waiting for the go-ahead */

static int wait_for_go(const struct options *o, int signals)
{
    long long until = now_ms() + o->patience * 1000LL;
    while (access(o->go, F_OK) != 0) {
        struct signalfd_siginfo info;
        if (now_ms() >= until) return fail(NO_GO_AHEAD, "there was no go-ahead; the algorithm was not started");
        if (heard(signals, -1, POLL_MS) > 0 && read(signals, &info, sizeof info) == sizeof info
            && (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT))
            return fail(128 + (int)info.ssi_signo, "stopped before the go-ahead; the algorithm was not started");
    }
    return 0;
}

static const char *value(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

static int parse(int argc, char **argv, struct options *o)
{
    const char *v;
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if ((v = value(argv[i], "--go="))) o->go = v;
        else if ((v = value(argv[i], "--log="))) o->log = v;
        else if ((v = value(argv[i], "--outputs="))) o->outputs = v;
        else if ((v = value(argv[i], "--patience="))) o->patience = atol(v);
        else if ((v = value(argv[i], "--cap="))) o->cap = strtoull(v, NULL, 10);
        else if ((v = value(argv[i], "--file="))) o->file = strtoull(v, NULL, 10);
        else if ((v = value(argv[i], "--scratch="))) o->scratch = v;
        else if ((v = value(argv[i], "--live="))) o->silent = strcmp(v, "no") == 0;
        else return 0;
    }
    if (i + 2 != argc) return 0;
    o->line = argv[i + 1];
    return o->go && o->log && o->patience > 0 && o->cap > 0;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    sigset_t ours, before;
    prctl(PR_SET_DUMPABLE, 0);
    if (!parse(argc, argv, &o))
        return fail(OWN_FAULT, "usage: gate --go=FILE --patience=SECONDS --log=FILE --cap=BYTES -- COMMAND-LINE");
    sigemptyset(&ours);
    sigaddset(&ours, SIGCHLD);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) sigaddset(&ours, passed_on[i]);
    sigprocmask(SIG_BLOCK, &ours, &before);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &ours, SFD_CLOEXEC);
    if (signals < 0) return fail(OWN_FAULT, strerror(errno));
    int code = wait_for_go(&o, signals);
    return code ? code : run(&o, signals, &before);
}
