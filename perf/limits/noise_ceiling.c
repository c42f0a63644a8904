// The maximum throughput of an encrypted stream: one thread encrypts with libcrypto's ChaCha20-Poly1305, in the largest
// messages that Noise allows, and sends them over loopback TCP; another receives and decrypts them. There is no
// handshake, multiplexer or event loop, and the key is fixed. Each thread makes one pass over one small buffer.
//
//   noise_ceiling [MEBIBYTES [SECONDS]]
//
// It ends after MEBIBYTES of plaintext (default 2048) or SECONDS (default 10), whichever comes first, and prints one
// line: the rate of decrypted plaintext, from the first byte sent to the last byte decrypted.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH = 2, TAG = 16, MESSAGE = 65535, PLAIN = MESSAGE - TAG, FRAME = LENGTH + MESSAGE };
enum { RECEIVE_BUFFER = 4 * FRAME };

static const uint8_t key[32] = "a fixed key, good for measuring";
static uint64_t wanted_messages;
static double wanted_seconds;
static double started, ended;
static uint64_t decrypted;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "noise_ceiling: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

static void check(int succeeded, const char *what) {
    if (!succeeded) fail(what);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static EVP_CIPHER_CTX *make_cipher(int encrypt) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    check(context && EVP_CipherInit_ex2(context, EVP_chacha20_poly1305(), key, NULL, encrypt, NULL) == 1,
          "cipher");
    return context;
}

// Noise's nonce: four zero bytes, then the message's number, little-endian.
static void set_nonce(EVP_CIPHER_CTX *context, uint64_t number, int encrypt) {
    uint8_t nonce[12] = {0};
    for (int i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(number >> 8 * i);
    check(EVP_CipherInit_ex2(context, NULL, NULL, nonce, encrypt, NULL) == 1, "nonce");
}

static void *send_all(void *argument) {
    int socket = *(int *)argument;
    EVP_CIPHER_CTX *cipher = make_cipher(1);
    uint8_t *plain = malloc(PLAIN), *frame = malloc(FRAME);
    check(plain && frame, "memory");
    for (int i = 0; i < PLAIN; i++) plain[i] = (uint8_t)(i * 31);
    frame[0] = MESSAGE >> 8;
    frame[1] = MESSAGE & 0xFF;
    started = seconds();
    for (uint64_t number = 0; number < wanted_messages; number++) {
        int count;
        if (number % 64 == 0 && seconds() - started > wanted_seconds) break;
        set_nonce(cipher, number, 1);
        check(EVP_CipherUpdate(cipher, frame + LENGTH, &count, plain, PLAIN) == 1 && count == PLAIN, "encrypt");
        check(EVP_CipherFinal_ex(cipher, frame + LENGTH + PLAIN, &count) == 1, "encrypt");
        check(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, frame + LENGTH + PLAIN) == 1, "tag");
        for (size_t sent = 0; sent < FRAME;) {
            ssize_t written = send(socket, frame + sent, FRAME - sent, MSG_NOSIGNAL);
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) fail("send");
            sent += (size_t)written;
        }
    }
    shutdown(socket, SHUT_WR);
    EVP_CIPHER_CTX_free(cipher);
    free(plain);
    free(frame);
    return NULL;
}

static void *receive_all(void *argument) {
    int socket = *(int *)argument;
    EVP_CIPHER_CTX *cipher = make_cipher(0);
    uint8_t *buffer = malloc(RECEIVE_BUFFER);
    check(buffer != NULL, "memory");
    size_t filled = 0;
    uint64_t number = 0;
    while (1) {
        ssize_t got = recv(socket, buffer + filled, RECEIVE_BUFFER - filled, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("receive");
        if (got == 0) break;
        filled += (size_t)got;
        size_t used = 0;
        while (filled - used >= FRAME) {
            int count;
            uint8_t *frame = buffer + used, *message = frame + LENGTH;
            errno = 0;
            check((frame[0] << 8 | frame[1]) == MESSAGE, "length");
            set_nonce(cipher, number++, 0);
            check(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG, message + PLAIN) == 1, "tag");
            check(EVP_CipherUpdate(cipher, message, &count, message, PLAIN) == 1 && count == PLAIN, "decrypt");
            check(EVP_CipherFinal_ex(cipher, message + PLAIN, &count) == 1, "decrypt");
            used += FRAME;
        }
        memmove(buffer, buffer + used, filled - used);
        filled -= used;
    }
    ended = seconds();
    errno = 0;
    check(filled == 0, "whole messages");
    decrypted = number;
    EVP_CIPHER_CTX_free(cipher);
    free(buffer);
    return NULL;
}

int main(int count, char **arguments) {
    double mebibytes = count > 1 ? atof(arguments[1]) : 2048;
    wanted_seconds = count > 2 ? atof(arguments[2]) : 10;
    if (count > 3 || !(mebibytes > 0 && mebibytes < 1e9) || !(wanted_seconds > 0 && wanted_seconds < 1e6)) {
        fprintf(stderr, "usage: noise_ceiling [MEBIBYTES [SECONDS]]\n");
        return 2;
    }
    wanted_messages = (uint64_t)(mebibytes * 1048576 / PLAIN) + 1;

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0
              && getsockname(listener, (struct sockaddr *)&address, &size) == 0,
          "listen");
    int sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    check(sender >= 0 && connect(sender, (struct sockaddr *)&address, size) == 0, "connect");
    int receiver = accept(listener, NULL, NULL);
    check(receiver >= 0, "accept");
    close(listener);
    setsockopt(sender, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

    pthread_t threads[2];
    check(pthread_create(&threads[0], NULL, receive_all, &receiver) == 0
              && pthread_create(&threads[1], NULL, send_all, &sender) == 0,
          "threads");
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    double bytes = (double)decrypted * PLAIN;
    printf("noise_ceiling %.2f GB/s (%.0f bytes in %.3f s)\n", bytes / (ended - started) / 1e9, bytes,
           ended - started);
    return decrypted > 0 ? 0 : 1;
}
