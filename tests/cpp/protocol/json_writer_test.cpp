#include "protocol/json_writer.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/core/fields.hpp"

namespace session_buddy::protocol {
namespace {

struct Part {
    std::string name;
    std::optional<double> share{};
};
struct Whole {
    std::int64_t count = 0;
    bool done = false;
    AnomalyType type = AnomalyType::pattern_shift;
    TimePoint at{};
    Part first{};
    std::vector<Part> parts{};
    const Part* last = nullptr;
};

constexpr auto kPart = entity("Part", "A part.", field<"name">(&Part::name), field<"share">(&Part::share));
constexpr auto kWhole =
    entity("Whole", "", field<"count">(&Whole::count), field<"done">(&Whole::done), field<"type">(&Whole::type),
           field<"at">(&Whole::at), field<"first", &kPart>(&Whole::first), field<"parts", &kPart>(&Whole::parts),
           field<"last", &kPart>(&Whole::last), field<"twice">([](const Whole& whole) { return 2 * whole.count; }),
           field<"inner">(within(&Whole::first, &Part::name)));

TEST(JsonWriter, writes_every_kind_of_field_in_the_order_of_the_list) {
    Whole whole{.count = 3, .done = true, .first = {.name = "a\"b", .share = 0.5}, .parts = {{"x"}, {"y", 2.0}}};
    std::string out;
    append_object<kWhole>(out, whole);
    EXPECT_EQ(out,
              R"({"count":3,"done":true,"type":"pattern_shift","at":"1970-01-01T00:00:00Z",)"
              R"("first":{"name":"a\"b","share":0.5},"parts":[{"name":"x","share":null},{"name":"y","share":2.0}],)"
              R"("last":null,"twice":6,"inner":"a\"b"})");
}

TEST(JsonWriter, follows_pointers_to_entities) {
    const Part part{.name = "p"};
    Whole whole{.last = &part};
    std::string out;
    append_members<kWhole, ',', 6>(out, whole);
    EXPECT_EQ(out, R"(,"last":{"name":"p","share":null},"twice":0,"inner":"")");
    out.clear();
    append_objects<kPart>(out, std::vector<const Part*>{&part, nullptr});
    EXPECT_EQ(out, R"([{"name":"p","share":null},null])");
}

TEST(JsonWriter, separates_members_that_are_written_one_by_one) {
    std::string out = "{";
    append_member(out, "texts", std::vector<std::string>{"a", "b"});
    append_member(out, "none", std::optional<std::string>());
    append_member(out, "literal", "text");
    append_member(out, "size", std::size_t{7});
    append_member(out, "infinite", std::numeric_limits<double>::infinity());
    EXPECT_EQ(out, R"({"texts":["a","b"],"none":null,"literal":"text","size":7,"infinite":0.0)");
}

TEST(JsonWriter, keys_are_complete_at_compile_time) {
    using First = std::remove_cvref_t<decltype(std::get<0>(kPart.fields))>;
    static_assert(First::json_key<'{'>() == R"({"name":)");
    static_assert(First::json_key<','>() == R"(,"name":)");
    static_assert(First::name == "name");
}

}  // namespace
}  // namespace session_buddy::protocol
