// Renders problem details with the reason phrase of the status as title.
#include "session_buddy/protocol/problem.hpp"

#include "json_writer.hpp"

namespace session_buddy::protocol {

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
    std::string out = R"({"type":"about:blank")";
    append_member(out, "title", phrase(status));
    append_member(out, "status", status);
    append_member(out, "detail", detail);
    append_member(out, "error", error);
    for (const auto& [name, value] : members) {
        append_key(out, name);
        std::visit([&out](const auto& each) { append_value(out, each); }, value);
    }
    out += '}';
    return out;
}

}  // namespace session_buddy::protocol
