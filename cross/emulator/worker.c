/* Lets Pressel start its worker under qemu-user. Used by `cargo xtask cross --test`, and by
 * `package --test` for another machine.
 *
 * The appliance starts the worker through /proc/self/exe, which is the emulator there, so that the
 * emulator would be started without a program. Loaded before the C library (LD_PRELOAD), this
 * starts the emulator with the program in its place: PRESSEL_EMULATOR PRESSEL_PROGRAM ARGUMENTS.
 * Everything else goes to the C library as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

typedef int spawn_function(pid_t *, const char *, const posix_spawn_file_actions_t *,
                           const posix_spawnattr_t *, char *const[], char *const[]);

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const arguments[],
                 char *const environment[])
{
    void *found = dlsym(RTLD_NEXT, "posix_spawnp");
    spawn_function *next;
    memcpy(&next, &found, sizeof next);
    char *emulator = getenv("PRESSEL_EMULATOR");
    char *program = getenv("PRESSEL_PROGRAM");
    if (next == NULL) {
        return ENOSYS;
    }
    if (strcmp(file, "/proc/self/exe") != 0 || emulator == NULL || program == NULL) {
        return next(pid, file, actions, attributes, arguments, environment);
    }
    char *words[WORDS_MAX] = {emulator, program};
    size_t count = 2;
    for (size_t index = 1; arguments[index] != NULL; index++) {
        if (count == WORDS_MAX - 1) {
            return E2BIG;
        }
        words[count++] = arguments[index];
    }
    return next(pid, emulator, actions, attributes, words, environment);
}
