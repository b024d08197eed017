// Writes a database in which nothing changes, so that every alert and every anomaly in it is false: 200 skills with
// Zipf-like use, 3,000,000 invocations in 30 days. `session-buddy backtest` reads it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <string>

#include "alert_simulation.hpp"
#include "skill_database.hpp"

int main(int count, char** words) {
    using namespace session_buddy;
    CLI::App app{"Writes a database in which nothing changes"};
    std::string path;
    double days = 30.0;
    bench::StationaryDatabase database;
    app.add_option("path", path, "File to create")->required();
    app.add_option("--days", days, "Days of invocations");
    app.add_option("--skills", database.skills, "Number of skills");
    app.add_option("--per-day", database.per_day, "Invocations per day");
    CLI11_PARSE(app, count, words);
    bench::write_database(path, [&](const bench::RowSink& sink) {
        bench::simulate(database, days, 1, [&](const Invocation& row) {
            sink({row.skill_name, row.session_id, row.invoked_at, row.completed, row.duration_seconds.value_or(0.0),
                  row.completed ? nullptr : row.error_type.c_str()});
        });
    });
    return 0;
}
