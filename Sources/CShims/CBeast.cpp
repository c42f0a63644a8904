// A failed assertion rejects the message instead of ending the process.
#define BOOST_ENABLE_ASSERT_HANDLER
#include "CBeast.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <new>
#include <optional>
#include <vector>

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

namespace {

struct broken_assertion {};

// The maximum number of fields in a header: ten times what browsers and proxies send.
constexpr size_t field_limit = 100;
// The maximum number of empty lines to skip before a request (RFC 9112, section 2.2).
constexpr size_t empty_line_limit = 4;
// The number of bytes to append to a partial element at a time, and the capacity to keep between messages.
constexpr size_t step_size = 16 * 1024;
constexpr size_t kept_capacity = 4 * 1024;
// The minimum size of the end of a chunked body: "0", CR LF, CR LF. With less, Beast 1.81 fails an assertion.
constexpr size_t shortest_chunked_end = 5;

struct range {
    uint32_t start = 0;
    uint32_t count = 0;
};

struct field_entry {
    http::field id;
    range name;
    range value;
};

// The message as both kinds of parsers collect it.
struct message {
    std::vector<char> text;
    std::vector<field_entry> fields;
    range target;
    apus_http_head head{};
    string_view body;
    // The memory being parsed.
    string_view input;
    size_t header_limit = 0;
    size_t extension_bytes = 0;
    bool has_header = false;

    range keep(string_view bytes) {
        range result{static_cast<uint32_t>(text.size()), static_cast<uint32_t>(bytes.size())};
        text.insert(text.end(), bytes.begin(), bytes.end());
        return result;
    }

    apus_http_slice slice(range range) const {
        return {reinterpret_cast<const uint8_t *>(text.data()) + range.start, range.count};
    }

    // Returns whether a value is folded: the parser has copied it, or a line break precedes it.
    bool is_folded(string_view name, string_view value) const {
        if (value.data() < input.data() || value.data() + value.size() > input.data() + input.size()) return true;
        const char *after = name.data() + name.size();
        return after > value.data() || memchr(after, '\r', static_cast<size_t>(value.data() - after)) != nullptr;
    }

    void take_field(http::field id, string_view name, string_view value, error_code &ec) {
        if (is_folded(name, value)) {
            ec = http::error::bad_obs_fold;
            return;
        }
        // Trailers are checked and discarded.
        if (has_header) return;
        if (fields.size() == field_limit) {
            ec = http::error::header_limit;
            return;
        }
        if (id == http::field::host) head.host_count++;
        if (id == http::field::transfer_encoding) head.transfer_encoding_count++;
        auto kept_name = keep(name);
        fields.push_back({id, kept_name, keep(value)});
    }

    void take_header() {
        has_header = true;
        head.target = slice(target);
        for (const auto &field : fields) {
            switch (field.id) {
            case http::field::host: head.host = slice(field.value); break;
            case http::field::transfer_encoding: head.transfer_encoding = slice(field.value); break;
            case http::field::expect: head.expect = slice(field.value); break;
            case http::field::content_type: head.content_type = slice(field.value); break;
            case http::field::content_encoding: head.content_encoding = slice(field.value); break;
            default: break;
            }
        }
    }

    void clear() {
        if (text.capacity() > kept_capacity) std::vector<char>().swap(text);
        text.clear();
        fields.clear();
        target = {};
        head = {};
        body = {};
        extension_bytes = 0;
        has_header = false;
    }
};

int32_t method_number(http::verb verb) {
    switch (verb) {
    case http::verb::get: return apus_http_method_get;
    case http::verb::head: return apus_http_method_head;
    case http::verb::post: return apus_http_method_post;
    case http::verb::put: return apus_http_method_put;
    case http::verb::delete_: return apus_http_method_delete;
    case http::verb::options: return apus_http_method_options;
    case http::verb::patch: return apus_http_method_patch;
    case http::verb::connect: return apus_http_method_connect;
    case http::verb::trace: return apus_http_method_trace;
    default: return apus_http_method_other;
    }
}

template <bool isRequest> class parser final : public http::basic_parser<isRequest> {
    message &into;

public:
    parser(message &into, uint32_t header_limit, uint64_t body_limit) : into(into) {
        this->header_limit(header_limit);
        this->body_limit(body_limit);
    }

private:
    void on_request_impl(
        http::verb verb, string_view, string_view target, int version, error_code &) override {
        into.head.method = method_number(verb);
        into.head.version = version;
        into.target = into.keep(target);
    }

    void on_response_impl(int status, string_view, int version, error_code &) override {
        into.head.status = status;
        into.head.version = version;
    }

    void on_field_impl(http::field id, string_view name, string_view value, error_code &ec) override {
        into.take_field(id, name, value, ec);
    }

    void on_header_impl(error_code &) override {
        into.head.keeps_alive = this->keep_alive();
        into.head.is_chunked = this->chunked();
        auto length = this->content_length();
        into.head.has_length = length.has_value();
        into.head.length = length.value_or(0);
        into.take_header();
    }

    void on_body_init_impl(const boost::optional<std::uint64_t> &, error_code &) override {}

    std::size_t on_body_impl(string_view body, error_code &) override {
        into.body = body;
        return body.size();
    }

    void on_chunk_header_impl(std::uint64_t, string_view extensions, error_code &ec) override {
        into.extension_bytes += extensions.size();
        if (into.extension_bytes > into.header_limit) ec = http::error::bad_chunk_extension;
    }

    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code &) override {
        into.body = body;
        return body.size();
    }

    void on_finish_impl(error_code &) override {}
};

struct verdict {
    int32_t outcome;
    const char *reason;
};

constexpr verdict bad_line_end{apus_http_malformed, "a line does not end with CR LF"};

// Returns whether a line of a partial header ends with LF alone, which Beast notices only once the header is
// complete.
bool has_bare_line_feed(string_view bytes) {
    for (size_t at = bytes.find('\n'); at != string_view::npos; at = bytes.find('\n', at + 1)) {
        if (at == 0 || bytes[at - 1] != '\r') return true;
    }
    return false;
}

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

// Judges a request line that does not end as in HTTP/1.0 or 1.1.
verdict judge_version(string_view bytes) {
    size_t length = bytes.find('\n');
    auto line = bytes.substr(0, length);
    if (length != string_view::npos && (line.empty() || line.back() != '\r')) return bad_line_end;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    auto end = line.size() < 9 ? string_view() : line.substr(line.size() - 9);
    if (end.substr(0, 6) == " HTTP/" && is_digit(end[6]) && end[7] == '.' && is_digit(end[8])
        && end.substr(6) != "1.0" && end.substr(6) != "1.1")
        return {apus_http_bad_version, "the HTTP version is not supported"};
    return {apus_http_malformed, "the HTTP version is malformed"};
}

verdict judge(const error_code &ec) {
    switch (static_cast<http::error>(ec.value())) {
    case http::error::header_limit: return {apus_http_header_too_large, "the header is too large"};
    case http::error::body_limit: return {apus_http_body_too_large, "the body is too large"};
    case http::error::bad_alloc: return {apus_http_out_of_memory, "out of memory"};
    case http::error::partial_message: return {apus_http_truncated, "the message is cut off"};
    case http::error::bad_line_ending: return bad_line_end;
    case http::error::bad_method: return {apus_http_malformed, "the method is malformed"};
    case http::error::bad_target: return {apus_http_malformed, "the target is malformed"};
    case http::error::bad_status: return {apus_http_malformed, "the status code is malformed"};
    case http::error::bad_reason: return {apus_http_malformed, "the reason phrase is malformed"};
    case http::error::bad_field: return {apus_http_malformed, "a field's name is malformed"};
    case http::error::bad_value: return {apus_http_malformed, "a field's value is malformed"};
    case http::error::bad_obs_fold: return {apus_http_malformed, "a field is folded over lines"};
    case http::error::bad_content_length: return {apus_http_malformed, "Content-Length is malformed"};
    case http::error::multiple_content_length: return {apus_http_malformed, "Content-Length is contradictory"};
    case http::error::bad_transfer_encoding: return {apus_http_malformed, "Transfer-Encoding is contradictory"};
    case http::error::bad_chunk: return {apus_http_malformed, "a chunk is malformed"};
    case http::error::bad_chunk_extension:
        return {apus_http_malformed, "a chunk's extensions are malformed or too large"};
    default: return {apus_http_malformed, "the message is malformed"};
    }
}

} // namespace

namespace boost {
void assertion_failed(char const *, char const *, char const *, long) { throw broken_assertion(); }
void assertion_failed_msg(char const *, char const *, char const *, char const *, long) {
    throw broken_assertion();
}
} // namespace boost

struct apus_http_parser {
    const bool is_request;
    const uint32_t header_limit;
    const uint64_t body_limit;
    message current;
    std::optional<parser<true>> request;
    std::optional<parser<false>> response;
    // The bytes of a partial element, after those already consumed.
    std::vector<char> kept;
    size_t taken = 0;
    size_t header_bytes = 0;
    size_t empty_lines = 0;
    verdict failure{0, ""};

    apus_http_parser(bool requests, uint32_t header_limit, uint64_t body_limit)
        : is_request(requests), header_limit(header_limit), body_limit(body_limit) {
        current.header_limit = header_limit;
        begin();
    }

    void begin() {
        if (is_request) {
            request.emplace(current, header_limit, body_limit);
        } else {
            response.emplace(current, header_limit, body_limit);
        }
    }

    void reset() {
        current.clear();
        if (kept.capacity() > kept_capacity) std::vector<char>().swap(kept);
        kept.clear();
        taken = 0;
        header_bytes = 0;
        empty_lines = 0;
        failure = {0, ""};
        begin();
    }

    size_t put(string_view bytes, error_code &ec) {
        boost::asio::const_buffer buffer(bytes.data(), bytes.size());
        return is_request ? request->put(buffer, ec) : response->put(buffer, ec);
    }

    bool has_begun() const { return is_request ? request->got_some() : response->got_some(); }
    bool is_done() const { return is_request ? request->is_done() : response->is_done(); }

    int32_t fail(verdict verdict) {
        failure = verdict;
        return verdict.outcome;
    }

    // Returns whether the request line alone is too long, or the whole header.
    verdict too_large(string_view bytes) const {
        if (is_request && current.head.version == 0 && bytes.substr(0, header_limit).find('\n') == string_view::npos)
            return {apus_http_line_too_long, "the request line is too long"};
        return {apus_http_header_too_large, "the header is too large"};
    }

    // Parses the next element of `bytes` and sets `consumed` to its end.
    int32_t parse(string_view bytes, size_t &consumed) {
        consumed = 0;
        if (is_request && !has_begun()) {
            while (bytes.size() > consumed && bytes[consumed] == '\r') {
                if (bytes.size() == consumed + 1) return apus_http_need_more;
                if (bytes[consumed + 1] != '\n' || ++empty_lines > empty_line_limit)
                    return fail({apus_http_malformed, "the method is malformed"});
                consumed += 2;
            }
        }
        auto rest = bytes.substr(consumed);
        if (rest.empty()) return apus_http_need_more;
        if (current.has_header && current.head.is_chunked && rest.size() < shortest_chunked_end)
            return apus_http_need_more;
        bool had_header = current.has_header;
        current.input = rest;
        current.body = {};
        error_code ec;
        size_t count = put(rest, ec);
        consumed += count;
        if (!had_header) header_bytes += count;
        size_t left = bytes.size() - consumed;
        if (ec == http::error::need_more) {
            if (left > header_limit || (!had_header && header_bytes + left > header_limit))
                return fail(too_large(bytes));
            if (!had_header && has_bare_line_feed(bytes.substr(consumed))) return fail(bad_line_end);
            return apus_http_need_more;
        }
        if (ec == http::error::header_limit) return fail(too_large(bytes));
        if (ec == http::error::bad_version) return fail(judge_version(rest));
        if (ec) return fail(judge(ec));
        if (header_bytes > header_limit) return fail(too_large(bytes));
        if (is_done()) return apus_http_complete;
        return had_header ? apus_http_body : apus_http_header;
    }

    // Parses the given bytes in place, unless earlier ones were kept. Keeps what is incomplete.
    void feed(const char *bytes, size_t count, apus_http_step &step) {
        if (failure.outcome != 0) {
            step.outcome = failure.outcome;
            return;
        }
        kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(taken));
        taken = 0;
        size_t consumed = 0;
        if (kept.empty()) {
            step.outcome = parse({bytes, count}, consumed);
            step.consumed = consumed;
            if (step.outcome == apus_http_need_more) {
                kept.assign(bytes + consumed, bytes + count);
                step.consumed = count;
            }
        } else {
            size_t before = kept.size();
            size_t more = count < step_size ? count : step_size;
            kept.insert(kept.end(), bytes, bytes + more);
            step.outcome = parse({kept.data(), kept.size()}, consumed);
            taken = consumed;
            if (step.outcome == apus_http_need_more) {
                step.consumed = more;
                if (more < count) step.outcome = apus_http_body;
            } else {
                // The bytes after the element will be passed again.
                step.consumed = consumed > before ? consumed - before : 0;
                kept.resize(before + step.consumed);
            }
        }
        step.body = {reinterpret_cast<const uint8_t *>(current.body.data()), current.body.size()};
        current.body = {};
    }

    void end(apus_http_step &step) {
        if (failure.outcome != 0) {
            step.outcome = failure.outcome;
            return;
        }
        if (!has_begun() || !kept.empty()) {
            step.outcome = fail({apus_http_truncated, "the message is cut off"});
            return;
        }
        error_code ec;
        if (is_request) {
            request->put_eof(ec);
        } else {
            response->put_eof(ec);
        }
        step.outcome = ec ? fail(judge(ec)) : apus_http_complete;
    }
};

namespace {

template <typename Body> void guarded(apus_http_parser *parser, apus_http_step *step, Body body) noexcept {
    *step = {};
    try {
        body();
    } catch (const std::bad_alloc &) {
        *step = {};
        step->outcome = parser->fail({apus_http_out_of_memory, "out of memory"});
    } catch (...) {
        *step = {};
        step->outcome = parser->fail({apus_http_malformed, "the message is malformed"});
    }
}

} // namespace

extern "C" {

apus_http_parser *apus_http_parser_create(bool requests, uint32_t header_limit, uint64_t body_limit) {
    try {
        return new apus_http_parser(requests, header_limit, body_limit);
    } catch (...) {
        return nullptr;
    }
}

void apus_http_parser_destroy(apus_http_parser *parser) { delete parser; }

void apus_http_parser_reset(apus_http_parser *parser) { parser->reset(); }

void apus_http_parser_feed(apus_http_parser *parser, const uint8_t *bytes, size_t count, apus_http_step *step) {
    guarded(parser, step, [&] { parser->feed(reinterpret_cast<const char *>(bytes), count, *step); });
}

void apus_http_parser_end(apus_http_parser *parser, apus_http_step *step) {
    guarded(parser, step, [&] { parser->end(*step); });
}

bool apus_http_parser_has_begun(const apus_http_parser *parser) {
    return parser->has_begun() || !parser->kept.empty();
}

const apus_http_head *apus_http_parser_head(const apus_http_parser *parser) { return &parser->current.head; }

const char *apus_http_parser_error(const apus_http_parser *parser) { return parser->failure.reason; }

} // extern "C"
