// Renders problem details with the reason phrase of the status as title.
#include "session_buddy/protocol/problem.hpp"

#include "json_text.hpp"

namespace session_buddy::protocol {

using json_text::append_number;
using json_text::append_string;

namespace {

// Reason phrases of RFC 9110 and RFC 6585.
std::string_view phrase(unsigned status) {
    switch (status) {
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 411:
            return "Length Required";
        case 413:
            return "Content Too Large";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 503:
            return "Service Unavailable";
        default:
            return "Internal Server Error";
    }
}

}  // namespace

std::string problem(unsigned status, std::string_view error, std::string_view detail,
                    const std::vector<ProblemMember>& members) {
    std::string out = R"({"type":"about:blank","title":)";
    append_string(out, phrase(status));
    out += R"(,"status":)";
    append_number(out, std::int64_t{status});
    out += R"(,"detail":)";
    append_string(out, detail);
    out += R"(,"error":)";
    append_string(out, error);
    for (const auto& [name, value] : members) {
        out += ',';
        append_string(out, name);
        out += ':';
        if (const auto* number = std::get_if<std::int64_t>(&value)) {
            append_number(out, *number);
        } else {
            append_string(out, std::get<std::string>(value));
        }
    }
    out += '}';
    return out;
}

}  // namespace session_buddy::protocol
