-- Decodes nginx's access log by the log_format that the server was given.
--
-- Configuration ([NAME.config]):
--   log_format              string, required   nginx's own log_format text
--   type                    string, none       Type of the messages; without it the input's Type stays
--   user_agent_transform    bool, false        turns http_user_agent into user_agent_browser, user_agent_version
--                                              and user_agent_os, and removes it
--   user_agent_keep         bool, false        with user_agent_transform: keeps http_user_agent
--   user_agent_conditional  bool, false        with user_agent_transform: removes http_user_agent only if a browser
--                                              was recognised
--   payload_keep            bool, false        keeps the line as Payload
--   tz                      string, "UTC"      applied by the host: the zone in which time stamps are read
--
--   [NginxAccess]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/nginx_access.lua"
--     [NginxAccess.config]
--     log_format = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
--     type = "combined"
--     user_agent_transform = true
--
-- Message: Timestamp of the line (now, if the format has no time), Type, and a field for each variable of the format:
-- numbers as DOUBLE, the rest as STRING; representation "ipv4", "ipv6" or "hostname" for hosts, "B" for sizes, "s" or
-- "us" for durations. A line that does not match fails with status -1 and no text.

local clf = require "common_log_format"

local normalize_user_agent = clf.normalize_user_agent
local read_message, inject_message, pcall = read_message, inject_message, pcall

local grammar = clf.build_nginx_grammar(read_config("log_format"))
local transform = read_config("user_agent_transform")
local keep = read_config("user_agent_keep")
local conditional = read_config("user_agent_conditional")
local payload_keep = read_config("payload_keep")

-- Every message goes out through this one table.
local msg = { Timestamp = nil, Type = read_config("type"), Payload = nil, Fields = nil }

local function transform_user_agent(fields, agent)
    local browser, version, os = normalize_user_agent(agent)
    fields.user_agent_browser, fields.user_agent_version, fields.user_agent_os = browser, version, os
    if not keep and (browser or not conditional) then fields.http_user_agent = nil end
end

function process_message()
    local line = read_message("Payload")
    local fields = grammar:match(line)
    if not fields then return -1 end

    msg.Timestamp = fields.time
    fields.time = nil
    if transform then
        local agent = fields.http_user_agent
        if agent then transform_user_agent(fields, agent) end
    end
    if payload_keep then msg.Payload = line end
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
