/* trial.c - the command: files in, a report out, for people and as JUnit. */
#include "trial/trial.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "trial/trial_internal.h"

enum { EXIT_PASSED, EXIT_FAILED, EXIT_WRONG };

typedef struct Report {
    FILE *junit;
    const char *filter;
    unsigned passed, failed;
} Report;

static void xml_text(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\n')
            fprintf(to, "&#%u;", c);
        else
            fputc(c < 0x20 && c != '\t' ? '?' : c, to);
    }
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report_case(Report *report, const TrialFile *file, const TrialCase *test, bool passed,
                        double seconds, const char *failures)
{
    printf("%s %s: %s (%.2f s)\n", passed ? "ok   " : "FAIL ", file->path, test->name, seconds);
    for (const char *line = failures; !passed && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        printf("      %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    fflush(stdout);
    if (report->junit == NULL)
        return;
    fputs("  <testcase classname=\"", report->junit);
    xml_text(report->junit, file->path);
    fputs("\" name=\"", report->junit);
    xml_text(report->junit, test->name);
    fprintf(report->junit, "\" time=\"%.3f\">", seconds);
    if (!passed) {
        fputs("<failure message=\"", report->junit);
        xml_text(report->junit, failures);
        fputs("\"/>", report->junit);
    }
    fputs("</testcase>\n", report->junit);
}

static void run_file(Report *report, const TrialFile *file)
{
    for (size_t i = 0; i < file->case_count; i++) {
        const TrialCase *test = &file->cases[i];
        flow_cleanup(flow_buf_done) FlowBuf failures;
        if (report->filter && strstr(test->name, report->filter) == NULL)
            continue;
        flow_buf_init(&failures, 1 << 20);
        double began = now_s();
        bool passed = trial_perform(test, &failures);
        *(passed ? &report->passed : &report->failed) += 1;
        report_case(report, file, test, passed, now_s() - began,
                    failures.len ? flow_buf_text(&failures) : "");
    }
}

static int usage(FILE *to, int status)
{
    fputs("Usage: flowd test [--junit FILE] [--filter TEXT] FILE...\n\n"
          "Runs workflow tests (docs/development.md): a store in memory and a clock of its own for each.\n"
          "Exit status: 0 all passed, 1 some failed, 2 an argument or a file is wrong.\n",
          to);
    return status;
}

static int run_files(Report *report, int count, char *const *paths)
{
    TrialFile *files = flow_calloc((size_t)count + 1, sizeof *files);
    flow_cleanup(flow_buf_done) FlowBuf problems;
    bool right = true;
    flow_buf_init(&problems, 1 << 20);
    /* All files are looked at first: a typing error in the last one shows at once. */
    for (int i = 0; i < count; i++)
        right = trial_file_read(&files[i], paths[i], &problems) && right;
    if (!right)
        fputs(flow_buf_text(&problems), stderr);
    if (report->junit)
        fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"flowd test\">\n", report->junit);
    for (int i = 0; right && i < count; i++)
        run_file(report, &files[i]);
    if (report->junit)
        fputs("</testsuite>\n", report->junit);
    for (int i = 0; i < count; i++)
        trial_file_done(&files[i]);
    free(files);
    if (!right)
        return EXIT_WRONG;
    printf("%u passed, %u failed\n", report->passed, report->failed);
    return report->failed > 0 ? EXIT_FAILED : EXIT_PASSED;
}

int flow_trial_main(int argc, char *const *argv)
{
    Report report = {0};
    int at = 0;
    const char *junit = NULL;
    for (; at < argc && argv[at][0] == '-'; at++) {
        bool has_value = at + 1 < argc;
        if (strcmp(argv[at], "--help") == 0)
            return usage(stdout, EXIT_PASSED);
        if (strcmp(argv[at], "--junit") == 0 && has_value)
            junit = argv[++at];
        else if (strcmp(argv[at], "--filter") == 0 && has_value)
            report.filter = argv[++at];
        else
            return usage(stderr, EXIT_WRONG);
    }
    if (at == argc)
        return usage(stderr, EXIT_WRONG);
    if (junit && (report.junit = fopen(junit, "we")) == NULL) {
        fprintf(stderr, "flowd: %s can't be written\n", junit);
        return EXIT_WRONG;
    }
    flow_log_set_level(FLOW_LOG_ERROR);
    int status = run_files(&report, argc - at, argv + at);
    if (report.junit)
        fclose(report.junit);
    return status;
}
