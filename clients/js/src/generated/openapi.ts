// Made by `npm run types` from docs/api; edit that instead.
export interface paths {
    "/api/v1/server": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The server, its settings that matter to a client, and how it is doing. */
        get: operations["getServer"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/skills": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The skills, with their figures of the window and of their whole recorded life. */
        get: operations["listSkills"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/skill": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One skill, with the errors and workflow phases of its window. */
        get: operations["getSkill"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/series": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What ran over time, in steps of one length.
         * @description Steps are multiples of their length since 1970, in UTC, and the answer is of whole ones: `from` moves back and `to` forth to the nearest. Every step is there, also where nothing ran. Of the time whose runs were deleted by `retention` or `prune` the hours are kept, so it takes steps of whole hours there, which have no percentiles.
         */
        get: operations["getSeries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/anomalies": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Episodes in which a skill deviated from its baseline.
         * @description The newest first, with state=open the largest deviation_score first.
         */
        get: operations["listAnomalies"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The active sessions, the one with the latest activity first. */
        get: operations["listSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invocations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Record runs of skills.
         * @description One record, an array of them, or one a line, at most 10000. They are stored as a whole or not at all, and on the disk when the answer comes. Without authentication taken from this machine alone.
         */
        post: operations["recordInvocations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/hooks/claude-code": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take an event of a Claude Code hook.
         * @description The event as Claude Code hands it to a hook. Of it the name of the tool, the session and the times are kept, never a prompt, an argument or an output. Events that say nothing of a skill are answered as the others are. Without authentication taken from this machine alone.
         */
        post: operations["takeHookEvent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process serves. */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the figures are recent. */
        get: operations["getReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The figures for Prometheus.
         * @description Text of Prometheus 0.0.4, or OpenMetrics 1.0.0 where Accept prefers that.
         */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Problem: components["schemas"]["http_error"];
        /**
         * Format: date-time
         * @description UTC, to the second.
         */
        Time: string;
        NullableTime: components["schemas"]["Time"] | null;
        Count: number;
        /** @description A fraction; null where there is nothing to divide by. */
        Rate: number | null;
        /** @description Seconds; null where no completed invocation has a duration. */
        Duration: number | null;
        /** @description 1 to 256 bytes of UTF-8 without control characters. */
        SkillName: string;
        /** @description When the present figures were computed; null before the first time. */
        SnapshotTime: components["schemas"]["Time"] | null;
        Server: {
            /** @description Of the server. */
            version: string;
            /**
             * @description Of this API.
             * @constant
             */
            api_version: "1.0";
            started_at: components["schemas"]["Time"];
            at: components["schemas"]["SnapshotTime"];
            /** @description Seconds since then. */
            age_seconds: number | null;
            /** @description Between two computations. */
            update_interval_seconds: number;
            /** @description Length of the sliding window. */
            window_seconds: number;
            /** @description |z| from which on a deviation is reported. */
            anomaly_threshold: number;
            /** @description Whether new rows are broadcast at once, too. */
            push: boolean;
            database: {
                readable: boolean;
                /** @description Why it is not readable, without paths. */
                reason: string | null;
                /** @description Absolute. Only for clients of this machine that connect directly or through a trusted proxy, and for clients with a token. */
                path?: string;
            };
            /** @description WebSocket clients. */
            clients: components["schemas"]["Count"];
            /** @description Skills that ever ran. */
            skills: components["schemas"]["Count"];
            /** @description Of all skills in the window. */
            invocation_count: components["schemas"]["Count"];
            /** @description Of these, those that were completed. */
            completed_count: components["schemas"]["Count"];
            /** @description Sums over all skills and all runs that were ever recorded, also of those that were deleted since. */
            lifetime: {
                total_invocations: components["schemas"]["Count"];
                completed_invocations: components["schemas"]["Count"];
                last_invocation_at: components["schemas"]["NullableTime"];
            };
            active_sessions: components["schemas"]["Count"];
            /** @description Open ones. */
            anomalies: components["schemas"]["Count"];
            /** @description Options beyond whose values the rest is summed as other. */
            limits_reached: ("max_tracked_skills" | "max_tracked_sessions" | "max_tracked_error_types")[];
        };
        /** @description Figures of the sliding window. */
        Window: {
            invocation_count: components["schemas"]["Count"];
            completed_count: components["schemas"]["Count"];
            completion_rate: components["schemas"]["Rate"];
            /** @description Lower end of the 95 % Wilson interval. */
            completion_rate_low: components["schemas"]["Rate"];
            /** @description Upper end of the 95 % Wilson interval. */
            completion_rate_high: components["schemas"]["Rate"];
            avg_duration: components["schemas"]["Duration"];
            last_invocation_at: components["schemas"]["NullableTime"];
        };
        /** @description Figures of all runs that were ever recorded, also of those that were deleted since. */
        Lifetime: {
            total_invocations: components["schemas"]["Count"];
            completed_invocations: components["schemas"]["Count"];
            completion_rate: components["schemas"]["Rate"];
            avg_duration_seconds: components["schemas"]["Duration"];
            last_invocation_at: components["schemas"]["NullableTime"];
        };
        /** @description An anomaly of the skill that is open now. */
        OpenAnomaly: {
            /** @enum {unknown} */
            anomaly_type: "performance_drop" | "performance_spike" | "pattern_shift";
            /** @description What was expected: a completion rate from 0 to 1, for pattern_shift a duration in seconds. */
            baseline_value: number;
            /** @description What was seen, in the same unit. */
            observed_value: number;
            /** @description Absolute z-score of the deviation. */
            deviation_score: number;
            details: components["schemas"]["details"];
        };
        /** @description The last 24 hours, whole ones, the present one last. */
        Sparkline: {
            from: components["schemas"]["Time"];
            /** @constant */
            step_seconds: 3600;
            invocation_count: components["schemas"]["Count"][];
            completed_count: components["schemas"]["Count"][];
        };
        Skill: {
            skill_name: components["schemas"]["SkillName"];
            window: components["schemas"]["Window"];
            lifetime: components["schemas"]["Lifetime"];
            anomalies: components["schemas"]["OpenAnomaly"][];
            sparkline?: components["schemas"]["Sparkline"];
        };
        SkillList: {
            at: components["schemas"]["SnapshotTime"];
            /** @description Entries of all pages. */
            total: number;
            limit: number;
            offset: number;
            skills: components["schemas"]["Skill"][];
        };
        SkillDetail: {
            at: components["schemas"]["SnapshotTime"];
            skill_name: components["schemas"]["SkillName"];
            window: components["schemas"]["Window"];
            lifetime: components["schemas"]["Lifetime"];
            anomalies: components["schemas"]["OpenAnomaly"][];
            first_invocation_at: components["schemas"]["NullableTime"];
            /** @description Error types of the failed runs of the window, the most frequent first. */
            errors: components["schemas"]["error_count"][];
            /** @description Workflow phases of the runs of the window, the most frequent first. */
            phases: components["schemas"]["Phase"][];
        };
        Phase: {
            /** @description Null for runs without one. */
            workflow_phase: string | null;
            invocation_count: components["schemas"]["Count"];
            completed_count: components["schemas"]["Count"];
            completion_rate: components["schemas"]["Rate"];
            avg_duration: components["schemas"]["Duration"];
        };
        Series: {
            /** @description Null for all skills together. */
            skill_name: components["schemas"]["SkillName"] | null;
            from: components["schemas"]["Time"];
            to: components["schemas"]["Time"];
            step_seconds: number;
            points: components["schemas"]["Point"][];
        };
        Point: {
            /** @description When the step begins. */
            at: components["schemas"]["Time"];
            invocation_count: components["schemas"]["Count"];
            completed_count: components["schemas"]["Count"];
            avg_duration: components["schemas"]["Duration"];
            /** @description Median of the durations of completed invocations, interpolated between ranks; null also where a part of the step is known by its hours alone. */
            p50_duration: components["schemas"]["Duration"];
            /** @description Their 95th percentile, likewise. */
            p95_duration: components["schemas"]["Duration"];
        };
        /** @description One episode. Numbers are null where another program that wrote it left them out. */
        Anomaly: {
            /** @description In skill_anomalies; null while it could not be written there. */
            id: number | null;
            skill_name: components["schemas"]["SkillName"];
            /** @description performance_drop, performance_spike or pattern_shift; other programs may write others. */
            anomaly_type: string;
            /** @description What was expected: a completion rate from 0 to 1, for pattern_shift a duration in seconds. */
            baseline_value: number | null;
            /** @description What was seen, in the same unit; of an open one now. */
            observed_value: number | null;
            /** @description Absolute z-score; of an open one now. */
            deviation_score: number | null;
            detected_at: components["schemas"]["Time"];
            resolved_at: components["schemas"]["NullableTime"];
            /** @description What explains an open one; null for others. */
            details: components["schemas"]["details"] | null;
        };
        AnomalyList: {
            at: components["schemas"]["SnapshotTime"];
            /** @description Entries of all pages. */
            total: number;
            limit: number;
            offset: number;
            anomalies: components["schemas"]["Anomaly"][];
        };
        SessionList: {
            at: components["schemas"]["SnapshotTime"];
            /** @description Entries of all pages. */
            total: number;
            /** @description A session without activity for so long is no longer active, in seconds. */
            window_seconds: number;
            sessions: components["schemas"]["session"][];
        };
        /** @description One run. Fields for prompts and texts are refused, as any other that is not named here. */
        Invocation: {
            skill_name: components["schemas"]["SkillName"];
            session_id: string;
            completed: boolean;
            duration_seconds?: number | null;
            /**
             * Format: date-time
             * @description When it began, in ISO 8601; without it the time of the request.
             */
            invoked_at?: string | null;
            /** @description A short class such as exit_code. */
            error_type?: string | null;
            workflow_path?: string | null;
            workflow_phase?: string | null;
            workflow_step_id?: string | null;
            selection_rank?: number | null;
            /** @description What tells this run from all others; one that is known is not stored again. */
            key?: string | null;
        };
        Stored: {
            stored: components["schemas"]["Count"];
            /** @description Records whose key was there before. */
            known: components["schemas"]["Count"];
        };
        /**
         * HTTP error
         * @description Body of every HTTP answer of 400 and above but that of /readyz: a problem by RFC 9457 (application/problem+json).
         * @example {
         *       "type": "about:blank",
         *       "title": "Not Found",
         *       "status": 404,
         *       "detail": "No such endpoint",
         *       "error": "not_found"
         *     }
         * @example {
         *       "type": "about:blank",
         *       "title": "Bad Request",
         *       "status": 400,
         *       "detail": "limit must be an integer from 1 to 500",
         *       "error": "bad_parameter",
         *       "parameter": "limit"
         *     }
         * @example {
         *       "type": "about:blank",
         *       "title": "Forbidden",
         *       "status": 403,
         *       "detail": "Origin not allowed; to allow it, start the server with --allow-origin ORIGIN",
         *       "error": "origin_not_allowed"
         *     }
         * @example {
         *       "type": "about:blank",
         *       "title": "Service Unavailable",
         *       "status": 503,
         *       "detail": "Connection limit reached: at most 100 clients (max_clients)",
         *       "error": "too_many_clients",
         *       "max_clients": 100
         *     }
         */
        http_error: {
            /**
             * @description The problem is what its status says.
             * @constant
             */
            type: "about:blank";
            /** @description The phrase of the status. */
            title: string;
            /** @description The status of the answer. */
            status: number;
            /** @description For people: what was wrong and what to do. */
            detail: string;
            /**
             * @description For programs.
             * @enum {unknown}
             */
            error: "bad_request" | "bad_parameter" | "tls_required" | "unauthorized" | "insufficient_scope" | "loopback_only" | "origin_not_allowed" | "host_not_allowed" | "not_found" | "unknown_skill" | "method_not_allowed" | "body_too_large" | "too_many_invocations" | "too_many_runs" | "length_required" | "unsupported_media_type" | "expectation_failed" | "upgrade_required" | "header_too_large" | "too_many_clients" | "too_many_clients_of_address" | "too_many_connections" | "intake_full" | "too_many_queries" | "too_many_unread_responses" | "out_of_memory" | "query_timeout" | "database_unavailable" | "no_intake" | "no_queries" | "stopping" | "internal_error";
            /** @description With bad_parameter: which one, at most 64 bytes of a name that nobody knows. */
            parameter?: string;
            /** @description With bad_request: the field of what was handed in. */
            field?: string;
            /** @description With bad_request: which of several records, from 0. */
            index?: number;
            /** @description With database_unavailable: with known, how many of the first records of the request are stored. */
            stored?: number;
            /** @description With database_unavailable: of these, those that were known before are counted here. */
            known?: number;
            /** @description With too_many_clients: how many WebSocket clients there may be at a time. */
            max_clients?: number;
            /** @description With too_many_clients_of_address: how many WebSocket clients one address may have at a time. */
            max_clients_per_address?: number;
            /** @description With too_many_connections: how many new connections a second one address may make. */
            max_connections_per_second?: number;
            /** @description With intake_full: bytes of requests that may wait for the database. */
            max_intake_bytes?: number;
            /** @description With too_many_queries: queries that may wait. */
            max_queries?: number;
            /** @description With too_many_unread_responses: bytes of responses that clients may have yet to read. */
            max_response_bytes?: number;
        };
        /**
         * Format: date-time
         * @description UTC, to the second.
         */
        timestamp: string;
        /** @description How often one error type occurs. */
        error_count: {
            error_type: string;
            count: number;
        };
        /** @description What explains the anomaly. There only where the subscription asks for it. */
        details: {
            /** @description Invocations behind baseline_value. */
            baseline_samples: number;
            /** @description Invocations behind observed_value. */
            observed_samples: number;
            /** @description The deviation with its sign: negative where the observed value is the smaller one. */
            z_score: number;
            /** @description Of a deviation at least this large on this side where nothing has changed. */
            tail_probability: number;
            /** @description When it began. */
            since: components["schemas"]["timestamp"];
            /** @description Error types of the observed failures, the most common first. */
            common_errors: components["schemas"]["error_count"][];
        };
        session: {
            /** @description The id under which the invocations were recorded. */
            session_id: string;
            /** @description Time of its first invocation. */
            first_activity_at: components["schemas"]["timestamp"];
            /** @description Time of its last invocation. */
            last_activity_at: components["schemas"]["timestamp"];
            /** @description All its invocations. */
            invocations: number;
            /** @description Those of them that completed. */
            completed: number;
            /** @description Skills that it used. */
            distinct_skills: number;
        };
        /**
         * GET /healthz
         * @description 200 while the process serves.
         * @example {
         *       "status": "ok",
         *       "version": "0.1.0"
         *     }
         */
        healthz: {
            /** @constant */
            status: "ok";
            /** @description Version of the server. */
            version: string;
        };
        /**
         * GET /readyz
         * @description 200 with ready while the database is readable and the last cycle recent; else 503 with unavailable and a reason.
         * @example {
         *       "status": "ready"
         *     }
         * @example {
         *       "status": "ready",
         *       "limits_reached": [
         *         "max_tracked_skills"
         *       ]
         *     }
         * @example {
         *       "status": "unavailable",
         *       "reason": "the database cannot be read"
         *     }
         */
        readyz: {
            /** @enum {unknown} */
            status: "ready" | "unavailable";
            reason?: string;
            /** @description With ready: options beyond whose values the rest is summed as other. */
            limits_reached?: ("max_tracked_skills" | "max_tracked_sessions" | "max_tracked_error_types")[];
        };
    };
    responses: {
        /** @description The data is that of the ETag in If-None-Match. No body. */
        NotModified: {
            headers: {
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description A parameter is unknown, given twice or out of range (`bad_parameter`, with `parameter`), the body is not what it should be (`bad_request`, with `field` and `index`), more runs lie in the time of a series than one answer may hold (`too_many_runs`), the request is no valid HTTP (`bad_request`), or it is plain HTTP on a port for TLS (`tls_required`). */
        BadRequest: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description A token is needed, or the one that was shown is not accepted (`unauthorized`). */
        Unauthorized: {
            headers: {
                /** @description The challenge of RFC 6750. */
                "WWW-Authenticate"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description The token lacks the scope (`insufficient_scope`), the Origin or Host is not allowed (`origin_not_allowed`, `host_not_allowed`), or data comes from another machine without authentication (`loopback_only`). */
        Forbidden: {
            headers: {
                /** @description The challenge of RFC 6750. */
                "WWW-Authenticate"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description One address opens too many connections (`too_many_connections`), or too much data waits for the database (`intake_full`). */
        TooManyRequests: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description The header, the target included, is longer than `max_header_bytes` (`header_too_large`). */
        HeaderTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description A fault of the server, which its log explains (`internal_error`). */
        InternalError: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description Too many connections (`too_many_clients`). */
        Unavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description More than `max_queries` wait (`too_many_queries`), clients do not read more than `max_response_bytes` of responses (`too_many_unread_responses`), the server is out of memory (`out_of_memory`), the query took longer than `query_timeout` (`query_timeout`), the database cannot be read (`database_unavailable`, for history alone), or the server is stopping (`stopping`). */
        QueryUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
        /** @description The database is locked or cannot be written, or the server is stopping (`database_unavailable`), or it takes no data in (`no_intake`). */
        IntakeUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["http_error"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description Weak, over the data without `at` and ages. */
        ETag: string;
        /** @description Whoever keeps an answer asks anew whether it still holds. */
        CacheControl: "no-cache";
        /** @description What else of a request the answer depends on. */
        Vary: string;
        /** @description Seconds to wait. */
        RetryAfter: number;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getServer: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The state of the server. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    Vary: components["headers"]["Vary"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Server"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["QueryUnavailable"];
        };
    };
    listSkills: {
        parameters: {
            query?: {
                /**
                 * @description A part of the name, A to Z in either case; 1 to 256 bytes.
                 * @example pytest
                 */
                search?: string;
                /** @description What to sort by; skills that are equal in it by name, those that lack it last. `deviation_score` is that of the largest open anomaly, `last_invocation_at` the last one ever, the others are of the window but for `total_invocations`. */
                sort?: "invocation_count" | "skill_name" | "completion_rate" | "avg_duration" | "last_invocation_at" | "deviation_score" | "total_invocations";
                /** @description Without it descending, by name ascending. */
                order?: "asc" | "desc";
                /** @description With true only skills with an invocation in the window. */
                active?: boolean;
                /** @description With true each skill has its last 24 hours, and a page at most 100 skills. */
                sparkline?: boolean;
                /** @description Skills of a page; with sparkline=true at most 100. */
                limit?: number;
                /** @description Entries before the page. */
                offset?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One page of skills. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    Vary: components["headers"]["Vary"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SkillList"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["QueryUnavailable"];
        };
    };
    getSkill: {
        parameters: {
            query: {
                /**
                 * @description The whole name.
                 * @example pytest-run
                 */
                skill_name: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The skill. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    Vary: components["headers"]["Vary"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SkillDetail"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description No run of this skill is recorded (`unknown_skill`). */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["http_error"];
                };
            };
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["QueryUnavailable"];
        };
    };
    getSeries: {
        parameters: {
            query?: {
                /** @description Of this skill; without it of all skills together. A skill that nobody knows has empty steps. */
                skill_name?: string;
                /**
                 * @description Begin; without it 24 hours before the end. An ISO 8601 time, UTC where it names no offset.
                 * @example 2026-02-10T00:00:00Z
                 */
                from?: string;
                /**
                 * @description End, not included; without it now.
                 * @example 2026-02-10T12:00:00Z
                 */
                to?: string;
                /**
                 * @description Length of a step: seconds, or a number with s, m, h or d, from 10s to 31d, for at most 2000 steps. Without it the shortest usual length that makes at most 300.
                 * @example 5m
                 */
                step?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The steps. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    Vary: components["headers"]["Vary"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Series"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["QueryUnavailable"];
        };
    };
    listAnomalies: {
        parameters: {
            query?: {
                state?: "all" | "open" | "resolved";
                skill_name?: string;
                anomaly_type?: "performance_drop" | "performance_spike" | "pattern_shift";
                /** @description Episodes that lasted until then, or later. */
                from?: string;
                /** @description Episodes that began before. */
                to?: string;
                /** @description Episodes of a page. */
                limit?: number;
                /** @description Entries before the page. */
                offset?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One page of episodes. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    Vary: components["headers"]["Vary"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AnomalyList"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["QueryUnavailable"];
        };
    };
    listSessions: {
        parameters: {
            query?: {
                /** @description Sessions of the answer. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Active sessions. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    Vary: components["headers"]["Vary"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionList"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["QueryUnavailable"];
        };
    };
    recordInvocations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Invocation"] | components["schemas"]["Invocation"][];
                "application/x-ndjson": string;
            };
        };
        responses: {
            /** @description Stored. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Stored"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description The body comes in chunks (`length_required`). */
            411: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["http_error"];
                };
            };
            /** @description Over `max_body_bytes`, or more than 10000 records (`body_too_large`, `too_many_invocations`). */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["http_error"];
                };
            };
            /** @description Neither JSON nor NDJSON (`unsupported_media_type`). */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["http_error"];
                };
            };
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["IntakeUnavailable"];
        };
    };
    takeHookEvent: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    hook_event_name: string;
                    session_id: string;
                    tool_name?: string;
                    tool_use_id?: string;
                };
            };
        };
        responses: {
            /** @description Taken. It is in the database, or in a file beside it where that cannot be written now. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description The body comes in chunks (`length_required`). */
            411: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["http_error"];
                };
            };
            /** @description Over `max_body_bytes` (`body_too_large`). */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["http_error"];
                };
            };
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["IntakeUnavailable"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It does. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["healthz"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            503: components["responses"]["Unavailable"];
        };
    };
    getReadiness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The database is readable and the last figures are recent. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["readyz"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            /** @description They are not; without a token, where one is asked for, without a reason. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["readyz"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The metrics. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                    "application/openmetrics-text": string;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeaderTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["QueryUnavailable"];
        };
    };
}
