-- Prepends the index line of ElasticSearch's bulk API to a Payload that is JSON already.
--
-- Configuration ([NAME.config]):
--   index                    string, "heka-%{%Y.%m.%d}"   index to write to.
--   type_name                string, "message"            document type.
--   id                       string, none                 document id; without it ElasticSearch makes one.
--   es_index_from_timestamp  bool, false                  the time in index, type_name and id is the message's
--                                                         Timestamp rather than the clock's.
--
-- In index, type_name and id, %{Type}, %{Hostname}, %{Pid}, %{UUID}, %{Logger}, %{EnvVersion} and %{Severity} stand for
-- those headers, %{name} for a field, and strftime conversions for a time, such as %{%Y.%m.%d}.
--
--   [ESPayload]
--   type = "SandboxEncoder"
--   filename = "lua_encoders/es_payload.lua"
--
--       [ESPayload.config]
--       es_index_from_timestamp = true
--       index = "%{Logger}-%{%Y.%m.%d}"
--       type_name = "%{Type}-%{Hostname}"
--
--   [ElasticSearchOutput]
--   message_matcher = "Type == 'nginx.access'"
--   server = "http://127.0.0.1:9200"
--   encoder = "ESPayload"
--
-- Output: {"index":{"_index":..,"_type":..}} and the Payload, each with a newline at its end.

local elasticsearch = require "elasticsearch"
local byte = require("string").byte

local read_message, inject_payload = read_message, inject_payload
local bulkapi_index_json = elasticsearch.bulkapi_index_json

local index = read_config("index") or "heka-%{%Y.%m.%d}"
local type_name = read_config("type_name") or "message"
local id = read_config("id")
local from_timestamp = read_config("es_index_from_timestamp")

local NEWLINE = 10

function process_message()
    local ns
    if from_timestamp then ns = read_message("Timestamp") end

    local payload = read_message("Payload")
    inject_payload("txt", "es_payload", bulkapi_index_json(index, type_name, id, ns), "\n", payload,
        byte(payload, -1) == NEWLINE and "" or "\n")
    return 0
end
