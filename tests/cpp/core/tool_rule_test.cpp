// Parsing of the option `tools`.
#include "session_buddy/core/tool_rule.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "session_buddy/core/invocation.hpp"

namespace session_buddy {
namespace {

std::vector<std::string> read(std::string_view text) {
    std::vector<std::string> rules;
    for (const ToolRule& rule : parse_tool_rules(text)) {
        EXPECT_FALSE(rule.preparation) << rule.command;
        rules.push_back(rule.command + " -> " + rule.skill);
    }
    return rules;
}

std::string invalid_item_of(std::string_view text) {
    try {
        static_cast<void>(parse_tool_rules(text));
    } catch (const std::invalid_argument& item) {
        return item.what();
    }
    return "(no fault)";
}

TEST(ToolRules, are_empty_for_an_empty_text) {
    for (const char* text : {"", " ", "\t \t"}) {
        EXPECT_TRUE(parse_tool_rules(text).empty()) << '"' << text << '"';
    }
}

TEST(ToolRules, keep_their_order_and_are_trimmed) {
    EXPECT_EQ(read("just test=just-test, bazel test=bazel-test"),
              (std::vector<std::string>{"just test -> just-test", "bazel test -> bazel-test"}));
    EXPECT_EQ(read(" \tx = y ,\tz=w\t"), (std::vector<std::string>{"x -> y", "z -> w"}));
    EXPECT_EQ(read("b=2,a=1,b=3"), (std::vector<std::string>{"b -> 2", "a -> 1", "b -> 3"})) << "none is dropped";
    EXPECT_EQ(read("x=the name of it"), (std::vector<std::string>{"x -> the name of it"}));
    EXPECT_EQ(read("größe prüfen=Prüfung"), (std::vector<std::string>{"größe prüfen -> Prüfung"}));
}

TEST(ToolRules, split_at_the_last_equals_sign) {
    EXPECT_EQ(read("run --mode=fast=fast-run"), (std::vector<std::string>{"run --mode=fast -> fast-run"}));
    EXPECT_EQ(read("x==y"), (std::vector<std::string>{"x= -> y"}));
}

TEST(ToolRules, name_the_invalid_item) {
    EXPECT_EQ(invalid_item_of("just test"), "just test");
    EXPECT_EQ(invalid_item_of("a=b, just test ,c=d"), "just test") << "trimmed";
    EXPECT_EQ(invalid_item_of("=name"), "=name");
    EXPECT_EQ(invalid_item_of(" \t=name"), "=name");
    EXPECT_EQ(invalid_item_of("command="), "command=");
    EXPECT_EQ(invalid_item_of("command= "), "command=");
    EXPECT_EQ(invalid_item_of("="), "=");
    EXPECT_EQ(invalid_item_of("first wrong, second wrong"), "first wrong");
}

TEST(ToolRules, reject_an_empty_item_such_as_an_extra_comma) {
    for (const char* text : {",", "a=b,", ",a=b", "a=b,,c=d", "a=b, ,c=d"}) {
        EXPECT_EQ(invalid_item_of(text), "") << text;
    }
}

TEST(ToolRules, reject_an_invalid_skill_name) {
    const std::string longest(kMaxSkillNameBytes, 'n');
    EXPECT_EQ(read("c=" + longest), (std::vector<std::string>{"c -> " + longest}));
    for (const std::string& name :
         {longest + "n", std::string("a\nb"), std::string("a\x1b[0m"), std::string("\xff"), std::string("\0", 1)}) {
        EXPECT_EQ(invalid_item_of("c=" + name), "c=" + std::string(name.c_str())) << name;
    }
}

}  // namespace
}  // namespace session_buddy
