#include "CSimdjson.h"

#include <simdjson.h>

#include <cstring>
#include <memory>
#include <new>

namespace {

// The largest text for which a thread keeps its parser: requests. Readers of larger files return the memory.
constexpr size_t kept = 256 * 1024;

struct Parser {
    simdjson::dom::parser parser;
    std::unique_ptr<uint8_t[]> text;
    size_t capacity = 0;

    // Copies the text and adds the padding that simdjson reads beyond its end.
    const uint8_t *padded(const void *bytes, size_t count) {
        if (capacity < count || !text) {
            capacity = 0;
            const size_t wanted = count < 4096 ? 4096 : count;
            text.reset(new (std::nothrow) uint8_t[wanted + simdjson::SIMDJSON_PADDING]);
            if (!text) return nullptr;
            capacity = wanted;
        }
        if (count) std::memcpy(text.get(), bytes, count);
        std::memset(text.get() + count, 0, simdjson::SIMDJSON_PADDING);
        return text.get();
    }

    void wipe() {
        if (text) explicit_bzero(text.get(), capacity + simdjson::SIMDJSON_PADDING);
        const size_t size = parser.doc.capacity();
        // The sizes of document::allocate.
        if (parser.doc.tape) explicit_bzero(parser.doc.tape.get(), (size + 3) * sizeof(uint64_t));
        if (parser.doc.string_buf) explicit_bzero(parser.doc.string_buf.get(), 5 * size / 3);
    }

    void release() {
        parser = simdjson::dom::parser();
        text.reset();
        capacity = 0;
    }
};

thread_local Parser own;

int32_t outcome(simdjson::error_code error) {
    switch (error) {
    case simdjson::SUCCESS: return apus_json_ok;
    case simdjson::MEMALLOC: return apus_json_no_memory;
    case simdjson::CAPACITY: return apus_json_too_large;
    case simdjson::DEPTH_ERROR: return apus_json_too_deep;
    default: return apus_json_refused;
    }
}

}  // namespace

extern "C" int32_t apus_json_parse(
    const void *bytes, size_t count, size_t max_depth, struct apus_json *into) try {
    if (count > simdjson::SIMDJSON_MAXSIZE_BYTES) return apus_json_too_large;
    const uint8_t *text = own.padded(bytes, count);
    if (!text) return apus_json_no_memory;
    // simdjson counts the document itself as a level.
    if (own.parser.max_depth() != max_depth + 1) {
        const size_t wanted = count < own.capacity ? own.capacity : count;
        if (auto error = own.parser.allocate(wanted, max_depth + 1)) return outcome(error);
    }
    if (auto error = own.parser.parse(text, count, false).error()) return outcome(error);
    into->tape = own.parser.doc.tape.get();
    // The first word, the root's, holds the end of the tape.
    into->words = size_t(into->tape[0] & 0x00FFFFFFFFFFFFFF);
    into->texts = own.parser.doc.string_buf.get();
    return apus_json_ok;
} catch (...) {
    return apus_json_no_memory;
}

extern "C" void apus_json_done(bool wipe) try {
    if (wipe) own.wipe();
    if (own.capacity > kept) own.release();
} catch (...) {
}
