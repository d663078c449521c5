if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal, raises = harness.test, harness.equal, harness.raises

local env = harness.load("f", {}, { source = 'anomaly = require "anomaly"; require "circular_buffer"' }).env
local anomaly, new = env.anomaly, env.circular_buffer.new

-- A buffer of one second rows, filled with value(second) from second `first` to `last`.
local function filled(rows, first, last, value)
    local cbuf = new(rows, 1, 1)
    for second = first, last do cbuf:set(second * 1e9, 1, value(second)) end
    return cbuf
end

test("a text of calls", function()
    equal(anomaly.parse_config(nil), nil)
    equal(anomaly.parse_config('roc("a ""b""", 1, 15, 0, 1.5, true, false)mww("c", 2,3,4,0.01,decreasing)'
        .. ' mww_nonparametric("c", 1, 2, 3, 0.55)'), {
        ['a "b"'] = { { name = 'a "b"', algorithm = "roc", col = 1, win = 15, hwin = 0, sd = 1.5, loss_of_data = true,
            start_of_data = false } },
        c = { { name = "c", algorithm = "mww", col = 2, win = 3, nwin = 4, pvalue = 0.01, trend = "decreasing" },
            { name = "c", algorithm = "mww_nonparametric", col = 1, win = 2, nwin = 3, pstat = 0.55 } },
    })
    for _, bad in ipairs { "bogus", "", 'roc("a", 1)', 'mww("c", 2, 3, 4, 1.5, any)', 'mww("c", 2, 3, 4, 0.5, up)',
        'roc("a", 1, 15, 0, 1.5, true, false) x' } do
        raises("could not parse the anomaly_config", anomaly.parse_config, bad)
    end
end)

test("the rate of change", function()
    local cbuf = filled(10, 0, 9, function(second) return second < 8 and second % 2 or 100 end)
    local cfg = anomaly.parse_config('roc("g", 1, 2, 0, 1, true, false)')
    local text, annotations = anomaly.detect(10e9, "g", cbuf, cfg)
    equal(text, "g - algorithm: roc col: 1 msg: detected anomaly, standard deviation exceeds 1")
    equal(annotations, { { x = 10000, col = 1, shortText = "A",
        text = "detected anomaly, standard deviation exceeds 1" } })
    equal(cbuf:current_time(), 10e9)
    equal(anomaly.detect(10.5e9, "g", cbuf, cfg), nil, "the same row again")
    equal(anomaly.detect(11e9, "other", cbuf, cfg), nil)
    equal(anomaly.detect(11e9, "g", cbuf, nil), nil)
end)

test("looking does not touch the newest row", function()
    local cbuf = filled(10, 0, 9, function(second) return second end)
    anomaly.detect(9.5e9, "g", cbuf, anomaly.parse_config('roc("g", 1, 2, 0, 99, false, false)'))
    equal({ cbuf:current_time(), cbuf:get(9e9, 1) }, { 9e9, 9 })
end)

test("the history window counts", function()
    local function value(second)
        if second <= 150 then return second - 99 end
        return second < 185 and second % 4 + 9 or 23
    end
    local cbuf = filled(100, 100, 199, value)
    equal(anomaly.detect(200e9, "g", cbuf, anomaly.parse_config('roc("g", 1, 15, 0, 1.5, true, false)')), nil)
    equal(anomaly.detect(200e9, "g", cbuf, anomaly.parse_config('roc("g", 1, 15, 15, 1.5, true, false)')),
        "g - algorithm: roc col: 1 msg: detected anomaly, standard deviation exceeds 1.5")
end)

test("data that stop or begin", function()
    local cbuf = filled(100, 100, 150, function() return 2 end)
    cbuf:set(171e9, 1, 0 / 0)
    equal(anomaly.detect(170e9, "g", cbuf, anomaly.parse_config('roc("g", 1, 15, 0, 1.5, true, false)')),
        "g - algorithm: roc col: 1 msg: no new data")
    equal(anomaly.detect(170e9, "g", cbuf, anomaly.parse_config('roc("g", 1, 15, 0, 1.5, false, true)')), nil)
    cbuf = filled(100, 170, 170, function() return 2 end)
    equal(anomaly.detect(171e9, "g", cbuf, anomaly.parse_config('roc("g", 1, 15, 0, 1.5, false, true)')),
        "g - algorithm: roc col: 1 msg: unexpected data")
    cbuf = filled(100, 170, 170, function() return 2 end)
    equal(anomaly.detect(171e9, "g", cbuf, anomaly.parse_config('roc("g", 1, 15, 0, 1.5, true, false)')), nil)
end)

test("arguments that do not fit the buffer raise", function()
    local function detect(config, rows)
        return anomaly.detect(44e9, "g", new(rows, 1, 1), anomaly.parse_config(config))
    end
    raises("g - algorithm: roc col: 1 msg: win=15 hwin=0 arguments out of range (rows=45)", detect,
        'roc("g", 1, 15, 0, 1.5, true, false)', 45)
    raises("hwin=5 arguments out of range", detect, 'roc("g", 1, 10, 5, 1.5, true, false)', 45)
    raises("g - algorithm: mww col: 1 msg: arguments out of range", detect, 'mww("g", 1, 20, 10, 0.1, any)', 200)
    equal(detect('roc("g", 1, 15, 15, 1.5, true, false)', 46), nil)
end)

test("windows that fall or rise", function()
    local function detect(kind, step)
        local cbuf = filled(220, 300, 520, function(second) return 1000 + step * (second - 300) end)
        return anomaly.detect(521e9, "g", cbuf, anomaly.parse_config('mww("g", 1, 20, 10, 0.0001, ' .. kind .. ")"))
    end
    local text = "g - algorithm: mww col: 1 msg: detected anomaly"
    equal({ detect("decreasing", -1), detect("increasing", -1) or "none" }, { text .. ", decreasing values", "none" })
    equal({ detect("increasing", 1), detect("decreasing", 1) or "none" }, { text .. ", increasing values", "none" })
    equal({ detect("any", 1), detect("any", -1), detect("any", 0) or "none" }, { text, text, "none" })
end)

test("the statistic of windows that rise, by the size of the time", function()
    local cfg = anomaly.parse_config('mww_nonparametric("g", 1, 20, 10, 0.6)')
    local cbuf = filled(220, 300, 520, function(second) return second end)
    equal(anomaly.detect(520e9, "g", cbuf, cfg),
        "g - algorithm: mww_nonparametric col: 1 msg: detected anomaly, pstat: 0.944444")
    cbuf = filled(220, 1500000000, 1500000220, function(second) return second end)
    equal(anomaly.detect(1500000220e9, "g", cbuf, anomaly.parse_config('mww_nonparametric("g", 1, 20, 10, 0.6)')),
        "g - algorithm: mww_nonparametric col: 1 msg: detected anomaly, pstat: 1")
    cbuf = filled(220, 300, 520, function(second) return -second end)
    equal(anomaly.detect(520e9, "g", cbuf, anomaly.parse_config('mww_nonparametric("g", 1, 20, 10, 0.4)')),
        "g - algorithm: mww_nonparametric col: 1 msg: detected anomaly, pstat: 0.0555556")
    equal(anomaly.detect(520e9, "g", cbuf, anomaly.parse_config('mww_nonparametric("g", 1, 20, 10, 0.6)')), nil)
end)

test("an empty buffer, and two findings", function()
    local cbuf = new(220, 1, 1)
    equal(anomaly.detect(219e9, "g", cbuf, anomaly.parse_config('mww("g", 1, 20, 10, 0.0001, decreasing)'
        .. 'roc("g", 1, 15, 0, 1.5, true, false)')), nil)
    cbuf = filled(220, 300, 520, function(second) return second end)
    local text, annotations = anomaly.detect(520e9, "g", cbuf, anomaly.parse_config(
        'mww("g", 1, 20, 10, 0.0001, any) roc("g", 1, 2, 4, 1, true, true)'))
    equal(text, "g - algorithm: mww col: 1 msg: detected anomaly\n"
        .. "g - algorithm: roc col: 1 msg: detected anomaly, standard deviation exceeds 1")
    equal(#annotations, 2)
end)

test("more than a quarter of the windows must differ", function()
    -- Ten windows of twenty rows: the newest holds 1 to 20 like most of the others; "high" windows are far above.
    local function detect(high)
        local cbuf = filled(220, 1500000000, 1500000220, function(second)
            local window = math.floor((1500000219 - second) / 20)
            return (second % 20) + (window >= 1 and window <= high and 1000 or 0)
        end)
        return anomaly.detect(1500000220e9, "g", cbuf, anomaly.parse_config('mww("g", 1, 20, 10, 0.0001, any)'))
    end
    equal(detect(0), nil)
    equal(detect(2), nil)
    equal(detect(3), "g - algorithm: mww col: 1 msg: detected anomaly")
end)

harness.finish()
