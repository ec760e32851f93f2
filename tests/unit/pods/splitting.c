/* The gate's word splitting alone: lines on stdin, each ended by a NUL; words on stdout, each ended by a NUL and
 * each line by 0x01 and a NUL, or 0x02, the reason and a NUL where it was refused. */
#define main gate_main
#include GATE_SOURCE
#undef main

int main(void)
{
    static char line[1 << 16];
    size_t size = 0;
    for (int c; (c = getchar()) != EOF; ) {
        line[size++] = (char)c;
        if (c != 0) continue;
        const char *why;
        char **words = split(line, &why);
        for (char **w = words; w && *w; w++) fwrite(*w, 1, strlen(*w) + 1, stdout);
        if (words) putchar(1);
        else printf("\002%s", why);
        putchar(0);
        size = 0;
    }
    return 0;
}
