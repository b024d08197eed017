// Migration V3: the workflow phase and step of each invocation.
#include "migrations.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::array<AddedColumn, 2> kColumnsV3{
    {{"skill_invocation", "workflow_phase", "TEXT"}, {"skill_invocation", "workflow_step_id", "TEXT"}}};

constexpr const char* kScriptV3 = R"sql(
CREATE INDEX IF NOT EXISTS idx_invocation_workflow_phase
    ON skill_invocation (workflow_phase) WHERE workflow_phase IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_invocation_phase_completion
    ON skill_invocation (workflow_phase, completed) WHERE workflow_phase IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_invocation_workflow_step
    ON skill_invocation (workflow_step_id) WHERE workflow_step_id IS NOT NULL;

CREATE VIEW IF NOT EXISTS v_skill_effectiveness_by_phase AS
SELECT skill_name,
       workflow_phase,
       count(*) AS total_invocations,
       sum(CASE WHEN completed THEN 1 ELSE 0 END) AS completed_count,
       sum(CASE WHEN completed THEN 0 ELSE 1 END) AS abandoned_count,
       avg(duration_seconds) AS avg_duration_seconds,
       avg(CASE WHEN completed THEN duration_seconds END) AS avg_completion_time,
       100.0 * sum(CASE WHEN completed THEN 1 ELSE 0 END) / count(*) AS completion_rate
  FROM skill_invocation
 WHERE workflow_phase IS NOT NULL
 GROUP BY skill_name, workflow_phase;

CREATE VIEW IF NOT EXISTS v_workflow_phase_patterns AS
SELECT workflow_phase,
       count(*) AS invocations_in_phase,
       count(DISTINCT skill_name) AS unique_skills_in_phase,
       sum(CASE WHEN completed THEN 1 ELSE 0 END) AS successful_completions,
       avg(duration_seconds) AS avg_phase_duration
  FROM skill_invocation
 WHERE workflow_phase IS NOT NULL
 GROUP BY workflow_phase;

CREATE VIEW IF NOT EXISTS v_skills_by_phase_usage AS
SELECT skill_name,
       workflow_phase,
       count(*) AS usage_count,
       avg(CASE WHEN completed THEN 1.0 ELSE 0.0 END) AS success_rate
  FROM skill_invocation
 WHERE workflow_phase IS NOT NULL
 GROUP BY skill_name, workflow_phase
 ORDER BY skill_name, workflow_phase;
)sql";

}  // namespace

const Migration kMigrationV3{"V3__add_workflow_correlation", "Workflow phase and step of invocations", kColumnsV3,
                             kScriptV3};

}  // namespace session_buddy::storage
