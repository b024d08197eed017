// SQL fragments that several triggers share, as string literals, so that each script is one constant.
#pragma once

#include "session_buddy/core/duration.hpp"

// NOLINTBEGIN(cppcoreguidelines-macro-usage): literals can be joined only by the preprocessor

// The time of a timestamp column as a number that compares, NULL if it is no timestamp. SQLite parses most ISO 8601
// formats; others are rewritten first: a lower-case t, a comma, an offset without minutes or without a colon. As a last
// resort the offset is dropped. The GLOB excludes what SQLite would accept in addition ('now', bare numbers).
#define SESSION_BUDDY_MOMENT(x) \
    "CASE WHEN " x " GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' THEN coalesce("     \
    "julianday(" SESSION_BUDDY_ISO(x) "), "                                                 \
    "julianday(" SESSION_BUDDY_ISO(x) " || ':00'), "                                        \
    "julianday(substr(" SESSION_BUDDY_ISO(x) ", 1, length(" x ") - 2) || ':' || substr(" x ", -2)), " \
    "julianday(substr(" x ", 1, 10) || ' ' || substr(" x ", 12, 8)), "                      \
    "julianday(substr(" x ", 1, 10) || ' ' || substr(" x ", 12, 5))) END"
#define SESSION_BUDDY_ISO(x) "replace(replace(" x ", 't', 'T'), ',', '.')"

// The JSON object in column `object` of skill_metrics, with `count` added to the count of `name`. The object is rebuilt
// key by key, because a JSON path cannot name a key that contains a quote. A value that is not an object is replaced by
// a new object, so that the insert does not fail.
#define SESSION_BUDDY_COUNTED(object, name, count) \
    "(SELECT json_group_object(key, CASE WHEN type IN ('object', 'array') THEN json(value) ELSE value END) FROM (" \
    "SELECT key, type, CASE WHEN key = " name " AND type IN ('integer', 'real') THEN value + " count         \
    " WHEN key = " name " THEN " count " ELSE value END AS value"                                            \
    " FROM json_each(" SESSION_BUDDY_OBJECT(object) ")"                                                      \
    " UNION ALL SELECT " name ", 'integer', " count                                                          \
    " WHERE NOT EXISTS (SELECT 1 FROM json_each(" SESSION_BUDDY_OBJECT(object) ") WHERE key = " name ")))"

#define SESSION_BUDDY_OBJECT(object)                                                              \
    "CASE WHEN json_valid(" object ") THEN CASE json_type(" object ") WHEN 'object' THEN " object \
    " ELSE '{}' END"                                                                              \
    " ELSE '{}' END"

// A column of an invocation as the name to count: its text, NULL if empty.
#define SESSION_BUDDY_NAME(x) "nullif(CAST(" x " AS TEXT), '')"

// The first element of a JSON array in `x` as a name; NULL for anything else.
#define SESSION_BUDDY_FIRST_ELEMENT(x)                   \
    "CASE WHEN typeof(" x ") = 'text' AND json_valid(" x \
    ") THEN"                                             \
    " CASE json_type(" x ") WHEN 'array' THEN nullif(CAST(json_extract(" x ", '$[0]') AS TEXT), '') END END"

// A duration that satisfies is_valid_duration; NULL for any other.
#define SESSION_BUDDY_DURATION                                                                  \
    "CASE WHEN typeof(duration_seconds) IN ('real', 'integer') AND duration_seconds BETWEEN 0 " \
    "AND " SESSION_BUDDY_MAX_DURATION_SECONDS " THEN duration_seconds END"

// For completed invocations: sum and number of the valid durations, and number of the invalid ones that the triggers
// have added to skill_metrics.
#define SESSION_BUDDY_TIMED "CASE WHEN completed THEN " SESSION_BUDDY_DURATION " END"
#define SESSION_BUDDY_TIMED_SUMS                                 \
    "total(" SESSION_BUDDY_TIMED "), count(" SESSION_BUDDY_TIMED \
    "), count(" SESSION_BUDDY_SECONDS("") ") - count(" SESSION_BUDDY_TIMED ")"

// The duration of a completed invocation that the triggers add to skill_metrics: any finite number that is not
// negative; else NULL. It ignores the maximum duration, because the trigger text must stay the same as in existing
// databases; LifetimeReader corrects that.
#define SESSION_BUDDY_SECONDS(row)               \
    "CASE WHEN " row "completed AND typeof(" row \
    "duration_seconds) IN ('real', 'integer')"   \
    " AND " row "duration_seconds BETWEEN 0 AND 1.7976931348623157e308 THEN " row "duration_seconds END"

// NOLINTEND(cppcoreguidelines-macro-usage)
