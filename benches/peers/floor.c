// What cannot be avoided: every file is looked at, opened and read, and nothing else is done.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    char path[4096], content[65536];
    struct stat found;
    while (fgets(path, sizeof path, stdin)) {
        for (char *end = path; *end; end++)
            if (*end == '\n') *end = '\0';
        if (lstat(path, &found)) return 1;
        int file = open(path, O_RDONLY);
        if (file < 0) return 1;
        while (read(file, content, sizeof content) > 0) {}
        close(file);
    }
    return 0;
}
