// Uses every library, so that a missing target, header or symbol fails the build or the test.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <prometheus/text_serializer.h>
#include <simdjson.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sqlite3.h>
#include <toml++/toml.h>
#include <zlib.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/version.hpp>
#include <nlohmann/json.hpp>
#include <string>

TEST(Dependencies, have_the_required_versions) {
    EXPECT_GE(BOOST_VERSION, 108100);
    EXPECT_GE(sqlite3_libversion_number(), 3040000);
    EXPECT_GE(OpenSSL_version_num(), 0x30000000UL);
    spdlog::info("Boost {}, SQLite {}, {}", BOOST_LIB_VERSION, sqlite3_libversion(), OpenSSL_version(OPENSSL_VERSION));
}

TEST(Dependencies, sqlite_has_full_text_search) {
    SQLite::Database database(":memory:", SQLite::OPEN_READWRITE);
    database.exec("CREATE VIRTUAL TABLE notes USING fts5(body)");
    EXPECT_TRUE(database.tableExists("notes"));
}

TEST(Dependencies, zlib_round_trips) {
    const std::string text(1000, 'a');
    std::string packed(compressBound(text.size()), '\0');
    uLongf packed_size = packed.size();
    ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &packed_size,
                       reinterpret_cast<const Bytef*>(text.data()), text.size()),
              Z_OK);
    std::string again(text.size(), '\0');
    uLongf again_size = again.size();
    ASSERT_EQ(uncompress(reinterpret_cast<Bytef*>(again.data()), &again_size,
                         reinterpret_cast<const Bytef*>(packed.data()), packed_size),
              Z_OK);
    EXPECT_EQ(again, text);
}

TEST(Dependencies, asio_and_beast_run) {
    boost::asio::io_context context;
    bool ran = false;
    boost::asio::post(context, [&ran] { ran = true; });
    context.run();
    EXPECT_TRUE(ran);
    const boost::asio::ssl::context tls(boost::asio::ssl::context::tls_server);
    boost::beast::flat_buffer buffer;
    EXPECT_EQ(buffer.size(), 0U);
}

TEST(Dependencies, json_toml_and_command_line_parsers_agree) {
    const nlohmann::json parsed = nlohmann::json::parse(R"({"port": 8765})");
    const toml::table table = toml::parse("port = 8765");
    simdjson::dom::parser parser;
    std::int64_t quick = 0;
    ASSERT_EQ(parser.parse(parsed.dump()).at_key("port").get(quick), simdjson::SUCCESS);
    EXPECT_EQ(quick, 8765);
    EXPECT_EQ(parsed.at("port").get<int>(), table["port"].value_or(0));
    EXPECT_THAT(fmt::format("{}", 8765), ::testing::StrEq("8765"));

    CLI::App app;
    int port = 0;
    app.add_option("--port", port);
    app.parse("--port 8765", false);
    EXPECT_EQ(port, 8765);
}

TEST(Dependencies, prometheus_cpp_serializes_its_data_model) {
    prometheus::MetricFamily family;
    family.name = "runs_total";
    family.type = prometheus::MetricType::Counter;
    family.metric.emplace_back().counter.value = 3;
    EXPECT_THAT(prometheus::TextSerializer().Serialize({family}), ::testing::HasSubstr("runs_total 3\n"));
}
