#include "CTOML.h"

#include <cstring>
#include <new>
#include <vector>

// Built from headers: Debian's shared library is compiled with exceptions, and without them the types differ.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

static_assert(TOML_MAX_NESTED_VALUES == apus_toml_depth, "one limit for values and for keys");

struct apus_toml {
    toml::table root;
    std::vector<apus_toml_value> values;
};

namespace {

void refuse(apus_toml_error *error, apus_toml_position position, std::string_view reason) noexcept {
    error->position = position;
    size_t count = std::min(reason.size(), sizeof error->reason - 1);
    // Do not cut a character in two.
    while (count < reason.size() && count > 0 && (reason[count] & 0xC0) == 0x80) count--;
    std::memcpy(error->reason, reason.data(), count);
    error->reason[count] = 0;
}

apus_toml_position position(const toml::source_position &place) noexcept { return {place.line, place.column}; }

// Finds keys with too many parts. The parser nests a table per part, and destroying them recurses. Skips
// strings and comments; counts dots between the bytes that may occur in a key.
class KeyScanner {
public:
    explicit KeyScanner(std::string_view text) : text(text) {}

    // Returns false if a key has too many parts, and sets `place` to its position.
    bool scan(apus_toml_position &place) {
        unsigned dots = 0;
        while (next < text.size()) {
            char byte = text[next];
            if (byte == '#') {
                next = std::min(text.find('\n', next), text.size());
                continue;
            }
            if (byte == '"' || byte == '\'') {
                skip_string(byte);
                continue;
            }
            if (byte == '.') {
                if (++dots >= apus_toml_depth) {
                    place = here();
                    return false;
                }
            } else if (!is_in_key(byte)) {
                dots = 0;
            }
            next++;
        }
        return true;
    }

private:
    std::string_view text;
    size_t next = 0;

    static bool is_in_key(char byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9')
            || byte == '_' || byte == '-' || byte == ' ' || byte == '\t';
    }

    bool has_three(char quote) const {
        return text.size() - next >= 3 && text[next] == quote && text[next + 1] == quote && text[next + 2] == quote;
    }

    void skip_string(char quote) {
        bool is_long = has_three(quote);
        next += is_long ? 3 : 1;
        while (next < text.size()) {
            if (text[next] == '\\' && quote == '"') {
                next = std::min(next + 2, text.size());
            } else if (is_long && has_three(quote)) {
                next += 3;
                // Up to two more quotes belong to the string.
                for (int more = 0; more < 2 && next < text.size() && text[next] == quote; more++) next++;
                return;
            } else if (!is_long && (text[next] == quote || text[next] == '\n')) {
                next++;
                return;
            } else {
                next++;
            }
        }
    }

    apus_toml_position here() const {
        apus_toml_position place = {1, 1};
        for (size_t index = 0; index < next; index++) {
            if (text[index] == '\n') {
                place.line++;
                place.column = 1;
            } else if ((text[index] & 0xC0) != 0x80) {
                place.column++;
            }
        }
        return place;
    }
};

void add(std::vector<apus_toml_value> &values, const toml::node &node, const toml::key *key) {
    apus_toml_value value = {};
    value.position = position(node.source().begin);
    if (key) {
        value.key = reinterpret_cast<const uint8_t *>(key->data());
        value.key_count = key->length();
        value.key_position = position(key->source().begin);
    }
    size_t index = values.size();
    values.push_back(value);
    if (const toml::table *table = node.as_table()) {
        value.kind = APUS_TOML_TABLE;
        for (auto &&[name, child] : *table) add(values, child, &name);
    } else if (const toml::array *array = node.as_array()) {
        value.kind = APUS_TOML_ARRAY;
        for (auto &&child : *array) add(values, child, nullptr);
    } else if (const auto *text = node.as_string()) {
        value.kind = APUS_TOML_STRING;
        value.text = reinterpret_cast<const uint8_t *>(text->get().data());
        value.text_count = text->get().size();
    } else if (const auto *number = node.as_integer()) {
        value.kind = APUS_TOML_INTEGER;
        value.integer = number->get();
    } else if (const auto *flag = node.as_boolean()) {
        value.kind = APUS_TOML_BOOLEAN;
        value.integer = flag->get();
    } else {
        value.kind = node.is_floating_point() ? APUS_TOML_FLOAT : APUS_TOML_TIME;
    }
    value.end = values.size();
    values[index] = value;
}

} // namespace

struct apus_toml *apus_toml_parse(const void *bytes, size_t count, struct apus_toml_error *error) {
    try {
        std::string_view text(count ? static_cast<const char *>(bytes) : "", count);
        apus_toml_position place;
        if (!KeyScanner(text).scan(place)) {
            refuse(error, place, "a key has more than 32 parts");
            return nullptr;
        }
        toml::parse_result result = toml::parse(text);
        if (!result) {
            const toml::parse_error &failure = result.error();
            refuse(error, position(failure.source().begin), failure.description());
            return nullptr;
        }
        auto *document = new apus_toml{std::move(result).table(), {}};
        try {
            add(document->values, document->root, nullptr);
        } catch (...) {
            delete document;
            throw;
        }
        return document;
    } catch (const std::bad_alloc &) {
        refuse(error, {0, 0}, "not enough memory");
    } catch (...) {
        refuse(error, {0, 0}, "cannot be parsed");
    }
    return nullptr;
}

void apus_toml_free(struct apus_toml *document) { delete document; }

const struct apus_toml_value *apus_toml_values(const struct apus_toml *document, size_t *count) {
    *count = document->values.size();
    return document->values.data();
}
