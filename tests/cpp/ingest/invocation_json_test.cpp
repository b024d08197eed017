// Invocations as other tools report them: formats, fields and errors.
#include "session_buddy/ingest/invocation_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/resources.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const std::string kPrivateText = "private-9f3b";

json record(json more = json::object()) {
    json made = {{"skill_name", "deploy"}, {"session_id", "ci"}, {"completed", true}};
    made.update(more);
    return made;
}

std::vector<ReportedInvocation> must_read_report(std::string_view body, ReportFormat form = ReportFormat::json) {
    auto outcome = read_invocations(body, form);
    if (const auto* fault = std::get_if<ReportFault>(&outcome)) {
        ADD_FAILURE() << fault->reason << " in " << body.substr(0, 300);
        return {};
    }
    return std::get<std::vector<ReportedInvocation>>(std::move(outcome));
}

ReportFault report_fault_of(std::string_view body, ReportFormat form = ReportFormat::json) {
    auto outcome = read_invocations(body, form);
    if (const auto* fault = std::get_if<ReportFault>(&outcome)) {
        return *fault;
    }
    ADD_FAILURE() << "no fault in " << body.substr(0, 300);
    return {};
}

std::vector<std::string> names(const std::vector<ReportedInvocation>& records) {
    std::vector<std::string> found;
    for (const auto& one : records) {
        found.push_back(one.skill_name);
    }
    return found;
}

// ---- Formats

TEST(ReportedInvocations, an_object_is_one) {
    const auto records = must_read_report(record().dump());
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].skill_name, "deploy");
    EXPECT_EQ(records[0].session_id, "ci");
    EXPECT_TRUE(records[0].completed);
    EXPECT_EQ(records[0].key, "");
    EXPECT_EQ(records[0].invoked_at, "");
    EXPECT_EQ(records[0].duration_seconds, std::nullopt);
    EXPECT_EQ(records[0].error_type, std::nullopt);
    EXPECT_EQ(records[0].workflow_path, std::nullopt);
    EXPECT_EQ(records[0].workflow_phase, std::nullopt);
    EXPECT_EQ(records[0].workflow_step_id, std::nullopt);
    EXPECT_EQ(records[0].selection_rank, std::nullopt);
}

TEST(ReportedInvocations, every_field_is_read) {
    const auto records = must_read_report(record({{"key", "k"},
                                                  {"completed", false},
                                                  {"invoked_at", "2026-02-10T12:00:00+02:00"},
                                                  {"duration_seconds", 2.5},
                                                  {"error_type", "exit_code"},
                                                  {"workflow_path", "a/b"},
                                                  {"workflow_phase", "build"},
                                                  {"workflow_step_id", "7"},
                                                  {"selection_rank", 3}})
                                              .dump());
    ASSERT_EQ(records.size(), 1U);
    EXPECT_FALSE(records[0].completed);
    EXPECT_EQ(records[0].key, "k");
    EXPECT_EQ(records[0].invoked_at, "2026-02-10T12:00:00+02:00");
    EXPECT_EQ(records[0].duration_seconds, 2.5);
    EXPECT_EQ(records[0].error_type, "exit_code");
    EXPECT_EQ(records[0].workflow_path, "a/b");
    EXPECT_EQ(records[0].workflow_phase, "build");
    EXPECT_EQ(records[0].workflow_step_id, "7");
    EXPECT_EQ(records[0].selection_rank, 3);
}

TEST(ReportedInvocations, a_null_field_counts_as_missing) {
    const json nulls = {{"key", nullptr},
                        {"invoked_at", nullptr},
                        {"duration_seconds", nullptr},
                        {"error_type", nullptr},
                        {"workflow_path", nullptr},
                        {"workflow_phase", nullptr},
                        {"workflow_step_id", nullptr},
                        {"selection_rank", nullptr},
                        {"user_query", nullptr}};
    const auto records = must_read_report(record(nulls).dump());
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].key, "");
    EXPECT_EQ(records[0].duration_seconds, std::nullopt);
    for (const char* field : {"skill_name", "session_id", "completed"}) {
        const ReportFault fault = report_fault_of(record({{field, nullptr}}).dump());
        EXPECT_EQ(fault.reason, std::string(field) + " is missing");
        EXPECT_EQ(fault.field, field);
    }
}

TEST(ReportedInvocations, have_an_outcome_instead_of_completed) {
    const auto read = [](json fields) {
        fields.update({{"skill_name", "deploy"}, {"session_id", "ci"}});
        const auto records = must_read_report(fields.dump());
        return records.empty() ? ReportedInvocation{} : records[0];
    };
    EXPECT_TRUE(read({{"outcome", "completed"}}).completed);
    EXPECT_FALSE(read({{"outcome", "completed"}}).outcome_is_unknown);
    EXPECT_FALSE(read({{"outcome", "failed"}, {"error_type", "timeout"}}).completed);
    EXPECT_TRUE(read({{"outcome", "unknown"}}).completed);
    EXPECT_TRUE(read({{"outcome", "unknown"}}).outcome_is_unknown);
    EXPECT_TRUE(read({{"outcome", "unknown"}, {"completed", nullptr}}).outcome_is_unknown);
    EXPECT_FALSE(read({{"outcome", nullptr}, {"completed", false}}).completed);
    EXPECT_TRUE(read({{"outcome", "completed"}, {"completed", true}}).completed);
}

TEST(ReportedInvocations, must_not_contradict_themselves) {
    for (const auto& [outcome, completed] : {std::pair("completed", false), std::pair("failed", true),
                                             std::pair("unknown", true), std::pair("unknown", false)}) {
        const ReportFault fault = report_fault_of(record({{"outcome", outcome}, {"completed", completed}}).dump());
        EXPECT_EQ(fault.field, "outcome") << outcome;
        EXPECT_EQ(fault.reason, "outcome contradicts completed: use one of them");
    }
    const ReportFault fault = report_fault_of(
        json{{"skill_name", "s"}, {"session_id", "s"}, {"outcome", "unknown"}, {"error_type", "timeout"}}.dump());
    EXPECT_EQ(fault.field, "error_type");
}

TEST(ReportedInvocations, an_array_keeps_its_order) {
    EXPECT_EQ(
        names(must_read_report(json::array({record({{"skill_name", "b"}}), record({{"skill_name", "a"}})}).dump())),
        (std::vector<std::string>{"b", "a"}));
    EXPECT_TRUE(must_read_report("[]").empty());
    EXPECT_TRUE(must_read_report(" \r\n[ ]\t").empty());
}

TEST(ReportedInvocations, lines_keep_their_order_and_blank_ones_are_skipped) {
    const std::string b = record({{"skill_name", "b"}}).dump();
    const std::string a = record({{"skill_name", "a"}}).dump();
    const std::vector<std::string> both{"b", "a"};
    for (const std::string& body : {b + '\n' + a, b + '\n' + a + '\n', b + "\r\n" + a + "\r\n",
                                    "\n\n" + b + "\n \t\r\n" + a + "\n\n", "  " + b + "  \n\t" + a}) {
        EXPECT_EQ(names(must_read_report(body, ReportFormat::ndjson)), both) << body;
    }
    for (const char* body : {"", "\n", " ", "\r\n\r\n"}) {
        EXPECT_TRUE(must_read_report(body, ReportFormat::ndjson).empty());
    }
}

TEST(ReportedInvocations, one_format_is_not_read_as_the_other) {
    const std::string two_lines = record().dump() + '\n' + record().dump();
    EXPECT_EQ(report_fault_of(two_lines).reason, "The body is not JSON");
    const ReportFault array = report_fault_of(json::array({record()}).dump(), ReportFormat::ndjson);
    EXPECT_EQ(array.reason, "A record or one of its fields must be a JSON object");
    EXPECT_EQ(array.index, 0U);
    const ReportFault pretty = report_fault_of(record().dump(2), ReportFormat::ndjson);
    EXPECT_EQ(pretty.reason, "The line is not JSON");
    EXPECT_EQ(pretty.index, 0U);
}

TEST(ReportedInvocations, invalid_json_is_reported) {
    const std::string good = record().dump();
    for (const std::string& body :
         {std::string(), std::string(" "), std::string("{"), good + ",", good + "]", good + '\0', good + '\0' + good,
          std::string("\xef\xbb\xbf\xef\xbb\xbf{}"), std::string(R"({"skill_name":"\ud800"})"),
          std::string("{\"skill_name\":\"\xc3\x28\"}"), std::string(R"({"duration_seconds":1e999})"),
          std::string(R"({"duration_seconds":NaN})"), std::string("[") + good, std::string("[") + good + ",]",
          std::string(200'000, '['), std::string("{\"a\":") + std::string(200'000, '[')}) {
        const ReportFault fault = report_fault_of(body);
        EXPECT_EQ(fault.reason, "The body is not JSON") << body.substr(0, 100);
        EXPECT_EQ(fault.index, std::nullopt);
        EXPECT_EQ(fault.field, "");
        EXPECT_FALSE(fault.too_many);
        if (body.find_first_not_of(' ') != std::string::npos) {
            const ReportFault line = report_fault_of(good + "\n\n" + good + '\n' + body, ReportFormat::ndjson);
            EXPECT_EQ(line.reason, "The line is not JSON") << body.substr(0, 100);
            EXPECT_EQ(line.index, 2U) << "records are counted, not lines";
        }
    }
}

TEST(ReportedInvocations, a_non_object_is_reported_with_its_index) {
    for (const json& value : {json(nullptr), json(7), json("x"), json::array(), json(true)}) {
        if (!value.is_array()) {
            const ReportFault single = report_fault_of(value.dump());
            EXPECT_EQ(single.reason, "A record or one of its fields must be a JSON object") << value;
            EXPECT_EQ(single.index, 0U);
        }
        EXPECT_EQ(report_fault_of(json::array({record(), record(), value}).dump()).index, 2U) << value;
        EXPECT_EQ(report_fault_of(record().dump() + '\n' + value.dump(), ReportFormat::ndjson).index, 1U) << value;
    }
    EXPECT_EQ(report_fault_of("[" + std::string(100'000, '[') + std::string(100'000, ']') + "]").index, 0U) << "deep";
}

std::string repeated(std::string_view text, std::size_t bytes) {
    std::string all;
    while (all.size() < bytes) {
        all += text;
    }
    return all;
}

TEST(ReportedInvocations, of_any_shape_take_linear_time_and_memory) {
    constexpr std::size_t kBytes = std::size_t{1} << 20U;
    std::string members = "[{";
    for (std::size_t i = 0; members.size() < kBytes; ++i) {
        members += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
    }
    for (const std::string& body :
         {repeated("[", kBytes), "[" + repeated("{},", kBytes) + "{}]", "[" + repeated("[],", kBytes) + "[]]",
          "[" + repeated("[[", kBytes / 2) + repeated("]]", kBytes / 2) + "]", "{\"a\":" + repeated("{\"a\":", kBytes),
          "[{\"key\":[" + repeated("1,", kBytes) + "1]}]", members + "}]"}) {
        const std::size_t memory = test::peak_memory_bytes();
        const double begin = test::processor_seconds();
        static_cast<void>(report_fault_of(body));
        static_cast<void>(report_fault_of(body, ReportFormat::ndjson));
        EXPECT_LT(test::processor_seconds() - begin, 20.0) << body.substr(0, 20);
        EXPECT_LT(test::peak_memory_bytes() - memory, 6 * kBytes) << body.substr(0, 20);
    }
}

TEST(ReportedInvocations, the_limit_is_exact) {
    const std::string one = record().dump();
    std::string array = "[" + one;
    std::string lines = one;
    for (std::size_t i = 1; i < kMaxReportedInvocations; ++i) {
        array += ',' + one;
        lines += '\n' + one;
    }
    EXPECT_EQ(must_read_report(array + ']').size(), kMaxReportedInvocations);
    EXPECT_EQ(must_read_report(lines + "\n\n", ReportFormat::ndjson).size(), kMaxReportedInvocations);
    for (const ReportFault& fault : {report_fault_of(array + ',' + one + ']'), report_fault_of(array + ",7]"),
                                     report_fault_of(lines + '\n' + one, ReportFormat::ndjson),
                                     report_fault_of(lines + "\nnonsense", ReportFormat::ndjson)}) {
        EXPECT_TRUE(fault.too_many);
        EXPECT_EQ(fault.index, std::nullopt);
        EXPECT_EQ(fault.reason, "The request has more than 10000 invocations: split it");
    }
}

// ---- Fields

struct FieldCase {
    const char* field;
    json value;
    const char* reason;
};
class WrongField : public testing::TestWithParam<FieldCase> {};
TEST_P(WrongField, is_reported_with_the_index_of_its_record) {
    const auto& [field, value, reason] = GetParam();
    const json wrong = record({{field, value}});
    for (const ReportFault& fault :
         {report_fault_of(json::array({record(), wrong, wrong}).dump()),
          report_fault_of(record().dump() + '\n' + wrong.dump() + '\n' + wrong.dump(), ReportFormat::ndjson)}) {
        EXPECT_EQ(fault.index, 1U);
        EXPECT_EQ(fault.field, field);
        EXPECT_THAT(fault.reason, testing::StartsWith(std::string(field) + ' '));
        EXPECT_THAT(fault.reason, HasSubstr(reason));
        EXPECT_THAT(fault.reason, Not(HasSubstr(kPrivateText)));
        EXPECT_FALSE(fault.too_many);
    }
}

constexpr const char* kName = "1 to 256 bytes without control characters";
constexpr const char* kKey = "1 to 1024 bytes without control characters";
constexpr const char* kSeconds = "must be a number of seconds from 0 to 100000000";
constexpr const char* kWhole = "non-negative integer";
constexpr const char* kTime = "ISO 8601 timestamp";
constexpr const char* kClass = "short class";
constexpr const char* kNever = "never stored";

std::vector<FieldCase> wrong_fields() {
    std::vector<FieldCase> cases;
    for (const char* field : {"skill_name", "session_id", "workflow_path", "workflow_phase", "workflow_step_id"}) {
        for (const json& value :
             {json(""), json(7), json(true), json::array(), json{{"x", kPrivateText}}, json(kPrivateText + "\n"),
              json(std::string(257, 'x')), json(std::string("a\0b", 3)), json("\xc2\x85"), json("\x7f")}) {
            cases.push_back({field, value, kName});
        }
    }
    for (const json& value :
         {json(""), json(7), json(kPrivateText + "\t"), json(std::string(1025, 'k')), json::array()}) {
        cases.push_back({"key", value, kKey});
    }
    for (const json& value : {json(1), json(0), json("true"), json(kPrivateText), json::array(), json::object()}) {
        cases.push_back({"completed", value, "true or false"});
    }
    for (const json& value : {json(""), json("Completed"), json(kPrivateText), json(true), json(1), json::array()}) {
        cases.push_back({"outcome", value, "completed, failed or unknown"});
    }
    for (const json& value : {json(-1), json(-0.001), json(-1e308), json(100'000'000.1), json(1e308), json(UINT64_MAX),
                              json("2"), json(true), json(kPrivateText), json::array({1}), json::object()}) {
        cases.push_back({"duration_seconds", value, kSeconds});
    }
    for (const json& value : {json(-1), json(INT64_MIN), json(UINT64_MAX), json(std::uint64_t{INT64_MAX} + 1),
                              json(1.0), json(1e30), json("1"), json(true), json::array()}) {
        cases.push_back({"selection_rank", value, kWhole});
    }
    for (const json& value : {json(""), json("yesterday"), json("2026-02-30"), json("2026-02-10T25:00:00Z"),
                              json(1770724800), json("2026-02-10T12:00:00Z\n"), json(kPrivateText), json::object()}) {
        cases.push_back({"invoked_at", value, kTime});
    }
    for (const json& value : {json(""), json("two words"), json("a/b"), json("grün"), json("a\nb"),
                              json(std::string(65, 'e')), json(kPrivateText + " failed"), json(7), json::object()}) {
        cases.push_back({"error_type", value, kClass});
    }
    for (const char* field : {"user_query", "alternatives_considered", "follow_up_actions", "embedding"}) {
        for (const json& value : {json(kPrivateText), json(""), json::array({kPrivateText}), json(7), json(false)}) {
            cases.push_back({field, value, kNever});
        }
    }
    for (const json& value : {json(kPrivateText), json(7), json::object()}) {
        cases.push_back({"prompt", value, "is not a known field of an invocation"});
        cases.push_back({"Skill_name", value, "is not a known field of an invocation"});
    }
    return cases;
}
INSTANTIATE_TEST_SUITE_P(All, WrongField, testing::ValuesIn(wrong_fields()),
                         [](const auto& of) { return std::string(of.param.field) + "_" + std::to_string(of.index); });

TEST(ReportedInvocations, values_at_their_limits_are_accepted) {
    EXPECT_EQ(must_read_report(record({{"skill_name", std::string(256, 'x')}}).dump()).size(), 1U);
    EXPECT_EQ(must_read_report(record({{"key", std::string(1024, 'k')}}).dump()).size(), 1U);
    EXPECT_EQ(must_read_report(record({{"error_type", "aZ09_.:-" + std::string(56, 'e')}}).dump()).size(), 1U);
    EXPECT_EQ(must_read_report(record({{"selection_rank", INT64_MAX}}).dump()).at(0).selection_rank, INT64_MAX);
    EXPECT_EQ(must_read_report(record({{"selection_rank", 0}}).dump()).at(0).selection_rank, 0);
    EXPECT_EQ(must_read_report(record({{"duration_seconds", 1e8}}).dump()).at(0).duration_seconds, 1e8);
    EXPECT_EQ(must_read_report(record({{"duration_seconds", 100'000'000}}).dump()).at(0).duration_seconds, 1e8);
    EXPECT_EQ(must_read_report(record({{"duration_seconds", 0}}).dump()).at(0).duration_seconds, 0.0);
    for (const char* time :
         {"0001-01-01", "9999-12-31T23:59:59.999999Z", "2026-02-10 12:00", "2026-02-10T12:00:00,5+05"}) {
        EXPECT_EQ(must_read_report(record({{"invoked_at", time}}).dump()).at(0).invoked_at, time);
    }
}

TEST(ReportedInvocations, the_last_of_duplicate_fields_counts) {
    const auto records =
        must_read_report(R"({"skill_name":7,"session_id":"s","completed":false,"skill_name":"last","completed":true})");
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].skill_name, "last");
    EXPECT_TRUE(records[0].completed);
}

TEST(ReportedInvocations, an_unknown_field_is_named_only_if_it_is_a_plain_word) {
    EXPECT_EQ(report_fault_of(record({{"skillname", 1}}).dump()).field, "skillname");
    for (const std::string& name :
         {std::string(), std::string("a\nb"), std::string("\x1b[31m"), std::string("a\0b", 3), std::string("two words"),
          std::string("grün"), std::string(65, 'x'), std::string("\"quoted\""), kPrivateText + " is the answer"}) {
        const ReportFault fault = report_fault_of(record({{name, "x"}}).dump());
        EXPECT_EQ(fault.field, "");
        EXPECT_EQ(fault.reason, "A record or one of its fields is not a known field of an invocation");
        EXPECT_EQ(fault.index, 0U);
    }
}

TEST(ReportedInvocations, one_invalid_record_rejects_the_whole_request) {
    json many = json::array();
    for (int i = 0; i < 50; ++i) {
        many.push_back(record());
    }
    many.back()["completed"] = "yes";
    EXPECT_EQ(report_fault_of(many.dump()).index, 49U);
}

}  // namespace
}  // namespace session_buddy::ingest
