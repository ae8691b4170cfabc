/* Replies and problem documents. */
#include "reply.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool srv_refuse(struct srv_problem *problem, enum srv_refusal reason, const char *format, ...)
{
    *problem = (struct srv_problem){ .reason = reason, .retry_after_s = srv_refusal_http(reason) == 503 ? 1 : 0 };
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return false;
}

void srv_reply_problem(struct srv_reply *reply, const struct srv_problem *problem)
{
    const unsigned status = srv_refusal_http(problem->reason);
    struct srv_text text = { 0 };
    srv_text_print(&text, "{\"type\":\"urn:heed:problem:%s\",\"title\":\"%s\",\"status\":%u,\"detail\":",
                   srv_refusal_label(problem->reason), srv_refusal_title(problem->reason), status);
    srv_text_json_string(&text, problem->text);
    srv_text_string(&text, ",\"error\":");
    srv_text_json_string(&text, problem->text);
    srv_text_string(&text, "}\n");
    *reply = (struct srv_reply){
        .status = status,
        .content_type = "application/problem+json",
        .retry_after_s = problem->retry_after_s,
        .allow = problem->allow,
        .reason = problem->reason,
    };
    reply->body = srv_text_take(&text, &reply->size);
}

void srv_reply_text(struct srv_reply *reply, unsigned status, const char *content_type, struct srv_text *text)
{
    *reply = (struct srv_reply){ .status = status, .content_type = content_type };
    reply->body = srv_text_take(text, &reply->size);
    if (!reply->body) {
        struct srv_problem problem;
        srv_refuse(&problem, SRV_NO_MEMORY, "there is no memory for the reply");
        srv_reply_problem(reply, &problem);
    }
}

void srv_reply_deinit(struct srv_reply *reply)
{
    free(reply->body);
    *reply = (struct srv_reply){ 0 };
}
