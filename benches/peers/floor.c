// What cannot be avoided: every file is looked at, opened and read, and nothing else is done.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **words) {
    static char path[4096], content[65536];
    struct stat found;
    FILE *paths = count == 2 ? fopen(words[1], "r") : NULL;
    if (!paths) return 64;
    while (fgets(path, sizeof path, paths)) {
        path[strcspn(path, "\n")] = '\0';
        if (lstat(path, &found)) return 1;
        int file = open(path, O_RDONLY);
        if (file < 0) return 1;
        while (read(file, content, sizeof content) > 0) {}
        close(file);
    }
    return 0;
}
