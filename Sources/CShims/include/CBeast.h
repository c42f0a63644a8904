// Boost.Beast's HTTP/1.1 parser: bytes in, one message at a time out, in pieces. It stores partial elements
// and the header; a message's body it only points to. Interpreting the header is left to the caller.
#ifndef APUS_CBEAST_H
#define APUS_CBEAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct apus_http_parser;

/// Bytes in memory that belongs to another object.
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

/// The start line, and the fields that a server or client needs. The slice of a missing field is empty, that
/// of a repeated field holds its last value.
struct apus_http_head {
    /// A request's method: `apus_http_method_…`.
    int32_t method;
    /// A response's status code.
    int32_t status;
    /// 10 or 11; 0 while the start line is incomplete.
    int32_t version;
    /// Whether the connection persists, according to the version and Connection.
    bool keeps_alive;
    bool is_chunked;
    bool has_length;
    /// Content-Length, if present.
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

/// All given bytes were consumed; the message continues.
static const int32_t apus_http_need_more = 0;
/// The header is complete, and a body follows.
static const int32_t apus_http_header = 1;
/// A piece of the body is available.
static const int32_t apus_http_body = 2;
/// The message is complete; a last piece of its body may be available.
static const int32_t apus_http_complete = 3;
/// Not HTTP; `apus_http_parser_error` returns the reason.
static const int32_t apus_http_malformed = -1;
/// The header exceeds its limit of bytes or fields.
static const int32_t apus_http_header_too_large = -2;
/// The body exceeds its limit, or announces that it will.
static const int32_t apus_http_body_too_large = -3;
static const int32_t apus_http_bad_version = -4;
static const int32_t apus_http_out_of_memory = -5;
/// The stream ended within a message.
static const int32_t apus_http_truncated = -6;
/// The request line exceeds the limit of a header.
static const int32_t apus_http_line_too_long = -7;

struct apus_http_step {
    /// The number of given bytes that were consumed.
    size_t consumed;
    /// A piece of the body, with its transfer coding removed; valid until the next call, and as long as the
    /// given bytes.
    struct apus_http_slice body;
    /// One of the constants above.
    int32_t outcome;
};

/// Creates a parser of requests or of responses. `header_limit` is the maximum size of a header (start line,
/// fields, line ends), of a chunk's own line and of the trailers; `body_limit` that of a body. Returns NULL
/// if out of memory.
struct apus_http_parser *apus_http_parser_create(bool requests, uint32_t header_limit, uint64_t body_limit);
void apus_http_parser_destroy(struct apus_http_parser *parser);
/// Discards the message to make room for the next one.
void apus_http_parser_reset(struct apus_http_parser *parser);
/// Parses some of `bytes`. Call it again with the rest until the outcome is `need_more`, `complete` or
/// negative.
void apus_http_parser_feed(
    struct apus_http_parser *parser, const uint8_t *bytes, size_t count, struct apus_http_step *step);
/// Ends the stream. The outcome is `complete` if that properly ends the message.
void apus_http_parser_end(struct apus_http_parser *parser, struct apus_http_step *step);
/// Returns whether any of a message has arrived, ignoring empty lines before it.
bool apus_http_parser_has_begun(const struct apus_http_parser *parser);
/// Returns the header, from the outcome `header` or `complete` until `reset`.
const struct apus_http_head *apus_http_parser_head(const struct apus_http_parser *parser);
/// Returns a short description of the error after a negative outcome.
const char *apus_http_parser_error(const struct apus_http_parser *parser);

#ifdef __cplusplus
}
#endif

#endif
