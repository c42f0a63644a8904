// Boost.Beast's HTTP/1.1 parser: bytes in, one message at a time out, piece by piece. It keeps what it has not
// understood yet and the header; a message's body it only points at. What the header means is the caller's affair.
#ifndef APUS_CBEAST_H
#define APUS_CBEAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct apus_http_parser;

/// Bytes in somebody else's memory.
struct apus_http_slice {
    const uint8_t *bytes;
    size_t count;
};

static const int32_t apus_http_method_other = 0;
static const int32_t apus_http_method_get = 1;
static const int32_t apus_http_method_head = 2;
static const int32_t apus_http_method_post = 3;
static const int32_t apus_http_method_put = 4;
static const int32_t apus_http_method_delete = 5;
static const int32_t apus_http_method_options = 6;
static const int32_t apus_http_method_patch = 7;
static const int32_t apus_http_method_connect = 8;
static const int32_t apus_http_method_trace = 9;

/// The start line and the fields that a server or client looks at. Slices are empty where the field is missing, and
/// hold its last value where it is repeated.
struct apus_http_head {
    /// Of a request: `apus_http_method_…`.
    int32_t method;
    /// Of a response.
    int32_t status;
    /// 10 or 11; 0 while the start line is incomplete.
    int32_t version;
    /// What version and Connection say of the time after this message.
    bool keeps_alive;
    bool is_chunked;
    bool has_length;
    /// Content-Length, where there is one.
    uint64_t length;
    uint32_t host_count;
    uint32_t transfer_encoding_count;
    struct apus_http_slice target;
    struct apus_http_slice host;
    struct apus_http_slice transfer_encoding;
    struct apus_http_slice expect;
    struct apus_http_slice content_type;
    struct apus_http_slice content_encoding;
};

/// All bytes given are taken; the message goes on.
static const int32_t apus_http_need_more = 0;
/// The header is complete, and a body follows.
static const int32_t apus_http_header = 1;
/// There is a piece of the body.
static const int32_t apus_http_body = 2;
/// The message is complete; there may be a last piece of its body.
static const int32_t apus_http_complete = 3;
/// Not HTTP: `apus_http_error` says why.
static const int32_t apus_http_malformed = -1;
/// More bytes or fields than a header may have.
static const int32_t apus_http_header_too_large = -2;
/// A larger body than allowed, announced or sent.
static const int32_t apus_http_body_too_large = -3;
static const int32_t apus_http_bad_version = -4;
static const int32_t apus_http_out_of_memory = -5;
/// The stream ended within a message.
static const int32_t apus_http_truncated = -6;
/// A request line longer than a header may be.
static const int32_t apus_http_line_too_long = -7;

struct apus_http_step {
    /// Bytes taken of those given.
    size_t consumed;
    /// A piece of the body, without its transfer coding; valid until the next call and as long as the bytes given.
    struct apus_http_slice body;
    /// One of the numbers above.
    int32_t outcome;
};

/// A parser of requests or of responses, whose headers (start line, fields, line ends) have `header_limit` bytes at
/// most, as do a chunk's own line and the trailers, and whose bodies have `body_limit`. NULL without memory.
struct apus_http_parser *apus_http_parser_create(bool requests, uint32_t header_limit, uint64_t body_limit);
void apus_http_parser_destroy(struct apus_http_parser *parser);
/// Forgets the message, for the next one.
void apus_http_parser_reset(struct apus_http_parser *parser);
/// Takes in some of `bytes`, to be called again with the rest until the outcome is `need_more`, `complete` or below 0.
void apus_http_parser_feed(
    struct apus_http_parser *parser, const uint8_t *bytes, size_t count, struct apus_http_step *step);
/// The stream has ended: the outcome is `complete` where that is a message's proper end.
void apus_http_parser_end(struct apus_http_parser *parser, struct apus_http_step *step);
/// Whether anything of a message, empty lines before it aside, has come.
bool apus_http_parser_has_begun(const struct apus_http_parser *parser);
/// The header, from the outcome `header` or `complete` until `reset`.
const struct apus_http_head *apus_http_parser_head(const struct apus_http_parser *parser);
/// The field at `index` in the order of the header, while `head` is valid; false beyond the last.
bool apus_http_parser_field(
    const struct apus_http_parser *parser, size_t index, struct apus_http_slice *name,
    struct apus_http_slice *value);
/// A few words on what was wrong, after an outcome below 0.
const char *apus_http_parser_error(const struct apus_http_parser *parser);

#ifdef __cplusplus
}
#endif

#endif
