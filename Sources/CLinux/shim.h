// What Linux has and Swift's Glibc module does not: variadic calls, allocator tuning, a few macros.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

// Linux's own values, which the headers only show to programs that ask for GNU extensions.
static const int DR_O_NOATIME = 01000000;
static const int DR_F_SETPIPE_SZ = 1031;
static const int DR_SEEK_DATA = 3;
static const int DR_SEEK_HOLE = 4;

/// Keeps results of a megabyte on the heap: each would otherwise be mapped, faulted in and unmapped.
static inline void dr_keep_large_allocations_on_heap(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    mallopt(M_ARENA_MAX, 4);
}
/// Gives back what is free on the heap, wherever it lies.
static inline void dr_release_free_memory(void) { malloc_trim(0); }
static inline int dr_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags, mode);
}
/// Renames without replacing: EEXIST when the new name is taken.
static inline int dr_rename_exclusive(int olddir, const char *old, int newdir, const char *new_) {
    return (int)syscall(SYS_renameat2, olddir, old, newdir, new_, 1u /* RENAME_NOREPLACE */);
}
struct dr_directory_to_make {
    const char *path;
    mode_t mode;
    int number;
};
static inline void *dr_make_directory_here(void *argument) {
    struct dr_directory_to_make *order = argument;
    // The file mode mask of this thread alone; what must not unshare it keeps the program's.
    if (syscall(SYS_unshare, 0x200 /* CLONE_FS */) == 0) umask(0);
    order->number = mkdir(order->path, order->mode) == 0 ? 0 : errno;
    return NULL;
}
/// Makes a directory that has its mode from the beginning, whatever the program's umask: a chmod
/// behind mkdir would not come when the program is killed between the two. Returns errno, or 0.
static inline int dr_make_directory(const char *path, mode_t mode) {
    struct dr_directory_to_make order = {path, mode, 0};
    pthread_t thread;
    int number = pthread_create(&thread, NULL, dr_make_directory_here, &order);
    if (number == 0) number = pthread_join(thread, NULL);
    return number == 0 ? order.number : number;
}
/// Names the calling thread; at most 15 bytes show.
static inline void dr_name_this_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
/// A descriptor that becomes readable when the process ends.
static inline int dr_pidfd_open(pid_t process) {
    return (int)syscall(434 /* pidfd_open */, process, 0u);
}
/// A descriptor that is readable once something was written to it.
static inline int dr_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
/// A pipe whose ends no program that is started inherits.
static inline int dr_pipe(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }
/// Begins to write a file's dirty pages to the disk, and does not wait.
static inline void dr_start_writeback(int fd) {
    (void)syscall(SYS_sync_file_range, fd, (off_t)0, (off_t)0, 2u /* SYNC_FILE_RANGE_WRITE */);
}
static inline int dr_errno(void) { return errno; }
static inline uint32_t dr_major(dev_t device) { return major(device); }
static inline uint32_t dr_minor(dev_t device) { return minor(device); }
static inline dev_t dr_makedev(uint32_t major_, uint32_t minor_) { return makedev(major_, minor_); }
static inline int dr_fcntl_int(int fd, int command, int value) { return fcntl(fd, command, value); }
static inline int dr_terminal_columns(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
static inline int dr_terminal_rows(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}
/// Core dumps of this process would hold keys.
static inline void dr_forbid_core_dumps(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
/// Opens `path` only if it lies beneath `directory` and no component is a symbolic link.
/// ENOSYS on kernels before 5.6.
static inline int dr_open_beneath(int directory, const char *path, uint64_t flags) {
    struct {
        uint64_t flags, mode, resolve;
    } how = {flags, 0, 0x08 /* RESOLVE_BENEATH */ | 0x04 /* RESOLVE_NO_SYMLINKS */};
    return (int)syscall(437 /* openat2, the same on every architecture */, directory, path, &how,
                        sizeof how);
}
/// What fcntl.h shows only under _GNU_SOURCE; the same on every architecture but alpha and parisc.
static const int dr_O_PATH = 010000000;
static const int dr_AT_EMPTY_PATH = 0x1000;
/// Makes a hole of a range of a file, whose size stays.
static inline int dr_punch_hole(int descriptor, off_t offset, off_t length) {
    return (int)syscall(SYS_fallocate, descriptor, 3 /* PUNCH_HOLE | KEEP_SIZE */, offset, length);
}
static inline int dr_syncfs(int descriptor) { return (int)syscall(SYS_syncfs, descriptor); }
static int dr_signal_pipe = -1;
static volatile sig_atomic_t dr_signal_seen = 0;
static void dr_on_signal(int number) {
    int code = number == SIGINT ? 130 : 143;
    if (dr_signal_seen) _exit(code);
    dr_signal_seen = 1;
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    if (write(dr_signal_pipe, &byte, 1) != 1) _exit(code);
    errno = saved;
}
/// The first SIGINT, SIGTERM or SIGHUP writes its number, one byte, to `descriptor`; the second ends
/// the process. One that is ignored now stays ignored. Call from one source file only.
static inline void dr_watch_signals(int descriptor) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    dr_signal_pipe = descriptor;
    for (int i = 0; i < 3; i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) != 0 || action.sa_handler == SIG_IGN) continue;
        action.sa_handler = dr_on_signal;
        action.sa_flags = SA_RESTART;
        sigfillset(&action.sa_mask);
        sigaction(numbers[i], &action, NULL);
    }
}
