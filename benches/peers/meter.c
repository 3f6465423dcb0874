// Runs a program and writes to the file that is named first: the microseconds that it took, the microseconds of CPU
// of it and all its descendants that were waited for, and the kilobytes of the largest of these. It is small because
// the memory of who starts a program is counted as that program's own (ru_maxrss in getrusage(2)).
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long microseconds(long long seconds, long long rest) { return seconds * 1000000 + rest; }

int main(int count, char **words) {
    if (count < 3) return 64;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t child = fork();
    if (child == 0) {
        execvp(words[2], words + 2);
        perror(words[2]);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child) return 71;
    clock_gettime(CLOCK_MONOTONIC, &end);
    FILE *report = fopen(words[1], "w");
    if (!report) return 74;
    fprintf(report, "%lld %lld %ld\n",
            microseconds(end.tv_sec - begin.tv_sec, (end.tv_nsec - begin.tv_nsec) / 1000),
            microseconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec, used.ru_utime.tv_usec + used.ru_stime.tv_usec),
            used.ru_maxrss);
    if (fclose(report)) return 74;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
