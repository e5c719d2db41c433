r"""The parts of the steps that configure an adapter and read it back; rules as in :mod:`.templates_network`."""

from __future__ import annotations

# ruff: noqa: E501 - a line of cmd cannot be broken

ADAPTER = r"""@echo off
rem The parts of the steps that configure adapters. The first argument says which.
rem Known: P2V, STEP, OUT, LOOK, CCS, NETKEY, GUID, P2VNAME, MODERN (yes from 6.0 on).
goto %1

rem What netsh shall be told: the interface's index where netsh knows one, else its name.
:handle
set "P2VIF="
rem An earlier round may have given it another name.
%REG% query "%NETKEY%\%GUID%\Connection" >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%A"=="Name" set "P2VNAME=%%C"
if %MODERN%==no goto byname
set TURN=0
:look
%NETSH% interface ipv4 show interfaces >"%LOOK%.if4" 2>nul <nul
>"%LOOK%.one" set P2VNAME
for /f "usebackq tokens=1-4*" %%A in ("%LOOK%.if4") do (
  set "P2VIDX=%%A"
  set "P2VSHOWN=%%E"
  call :line
)
if defined P2VIF goto written
set /a TURN+=1
if %TURN% GEQ 6 goto byname
%PING% -n 6 127.0.0.1 >nul 2>&1
if errorlevel 1 goto byname
goto look
:line
if not defined P2VSHOWN goto :eof
set SAFE=yes
>"%LOOK%.two" set P2VIDX
for /f "usebackq delims=PVIDX=0123456789" %%X in ("%LOOK%.two") do set SAFE=no
if %SAFE%==no goto :eof
for /f "delims=0123456789" %%X in ("%P2VIDX%") do set SAFE=no
if %SAFE%==no goto :eof
>"%LOOK%.two" set P2VSHOWN
set SAME=no
for /f "usebackq tokens=1* delims==" %%A in ("%LOOK%.one") do for /f "usebackq tokens=1* delims==" %%C in ("%LOOK%.two") do if "%%B"=="%%D" set SAME=yes
if %SAME%==yes set "P2VIF=%P2VIDX%"
goto :eof
:byname
rem No connection has a quotation mark in its name, unless somebody put it into the registry.
>"%LOOK%.one" set P2VNAME
%FIND% @QUOTE@ "%LOOK%.one" >nul 2>&1
if not errorlevel 1 goto noname
for /f "usebackq tokens=1* delims==" %%A in ("%LOOK%.one") do set "P2VIF=%%B"
:written
>"%LOOK%.if" set P2VIF
goto :eof
:noname
set "P2VIF="
del /q "%LOOK%.if" >nul 2>&1
>>"%LOOK%.ran" echo no-handle
goto :eof

rem One command's exit code. 2: its number.
:told
set RC=%ERRORLEVEL%
>>"%LOOK%.ran" echo ran %2 %RC%
goto :eof

rem Settings that have no command: from the prepared keys to the adapter's own.
:carry
set "HELD=HKLM\SYSTEM\p2vprep\Adapters\%STEP%"
%REG% import "%P2V%\data\%STEP%.reg" >nul 2>&1
call :copy Tcpip "%CCS%\Services\Tcpip\Parameters\Interfaces\%GUID%"
call :copy NetBT "%CCS%\Services\NetBT\Parameters\Interfaces\Tcpip_%GUID%"
call :copy Connection "%NETKEY%\%GUID%\Connection"
%REG% query "%CCS%\Control\NetworkSetup2\Interfaces\%GUID%\Kernel" >nul 2>&1
if not errorlevel 1 call :copy Kernel "%CCS%\Control\NetworkSetup2\Interfaces\%GUID%\Kernel"
goto :eof

rem The last way: the address as Windows keeps it, which counts from the next start on.
:static
set "HELD=HKLM\SYSTEM\p2vprep\Adapters\%STEP%"
call :copy Static "%CCS%\Services\Tcpip\Parameters\Interfaces\%GUID%"
goto :eof

:copy
%REG% query "%HELD%\%1" >nul 2>&1
if errorlevel 1 goto :eof
%REG% copy "%HELD%\%1" %2 /f >nul 2>&1
>>"%LOOK%.ran" echo copied %1 %ERRORLEVEL%
goto :eof

:forget
%REG% delete "HKLM\SYSTEM\p2vprep\Adapters\%STEP%" /f >nul 2>&1
goto :eof

rem The connection's name. 2: the new one.
:rename
>"%LOOK%.named" set P2VNAME
%FIND% @QUOTE@ "%LOOK%.named" >nul 2>&1
if not errorlevel 1 goto :eof
for /f "usebackq tokens=1* delims==" %%A in ("%LOOK%.named") do if not "%%B"=="%~2" %NETSH% interface set interface name="%%B" newname="%~2" >>"%LOOK%.out" 2>&1 <nul
>>"%LOOK%.ran" echo renamed %ERRORLEVEL%
goto :eof

rem --- reading back ---
:dump
set DIFFERS=0
set STORED=right
>"%LOOK%.checks" echo rem
%REG% query "%CCS%\Services\Tcpip\Parameters\Interfaces\%GUID%" >"%LOOK%.tcp" 2>nul
%REG% query "%CCS%\Services\Tcpip6\Parameters\Interfaces\%GUID%" >"%LOOK%.tc6" 2>nul
%REG% query "%CCS%\Services\NetBT\Parameters\Interfaces\Tcpip_%GUID%" >"%LOOK%.nbt" 2>nul
%REG% query "%NETKEY%\%GUID%\Connection" >"%LOOK%.con" 2>nul
%REG% query "%CCS%\Services\Tcpip\Parameters\PersistentRoutes" >"%LOOK%.per" 2>nul
if %MODERN%==yes goto modern
for /f "usebackq tokens=1* delims==" %%A in ("%LOOK%.if") do %NETSH% interface ipv6 show address interface="%%B" >"%LOOK%.ad6" 2>nul <nul
%NETSH% interface ipv6 show routes >"%LOOK%.rt6" 2>nul <nul
goto :eof
:modern
for /f "usebackq tokens=1* delims==" %%A in ("%LOOK%.if") do %NETSH% interface ipv6 show addresses interface="%%B" >"%LOOK%.ad6" 2>nul <nul
%NETSH% interface ipv6 show route >"%LOOK%.rt6" 2>nul <nul
%NETSH% interface ipv4 show interfaces >"%LOOK%.if4" 2>nul <nul
%NETSH% interface ipv4 show route >"%LOOK%.rt4" 2>nul <nul
goto :eof

rem Is the value 3 of the dump 2 the text 4?
:equal
set GOT=no
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.%2") do if /i "%%A"=="%3" if /i "%%C"=="%~4" set GOT=yes
goto :eof

rem Is the word 4 in the list that the value 3 of the dump 2 holds? (reg joins lists by "\0".)
:word
set GOT=no
call :words %2 %3
for %%W in (%P2VLIST%) do if "%%W"=="%4" set GOT=yes
goto :eof

rem Does that list hold 4 words?
:count
set GOT=no
set WORDS=0
call :words %2 %3
for %%W in (%P2VLIST%) do set /a WORDS+=1
if %WORDS%==%4 set GOT=yes
goto :eof

:words
set "P2VLIST="
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.%1") do if /i "%%A"=="%2" set "P2VLIST=%%C"
if not defined P2VLIST goto :eof
set SAFE=yes
>"%LOOK%.one" set P2VLIST
for /f "usebackq delims=P2VLIST=013456789.\, " %%X in ("%LOOK%.one") do set SAFE=no
if %SAFE%==no set "P2VLIST="
if defined P2VLIST set "P2VLIST=%P2VLIST:\0= %"
goto :eof

rem Is the address 3 shown in the dump 2?
:shown
set GOT=no
for /f "usebackq tokens=1-8" %%A in ("%LOOK%.%2") do for %%W in ("%%A" "%%B" "%%C" "%%D" "%%E" "%%F" "%%G" "%%H") do if /i %%W=="%3" set GOT=yes
goto :eof

rem Does one line of the dump 2 show both the destination 3 and the way 4?
:route
set GOT=no
for /f "usebackq tokens=1-10" %%A in ("%LOOK%.%2") do for %%W in ("%%A" "%%B" "%%C" "%%D" "%%E" "%%F" "%%G") do for %%V in ("%%B" "%%C" "%%D" "%%E" "%%F" "%%G" "%%H" "%%I" "%%J") do if /i %%W=="%3" if /i %%V=="%4" set GOT=yes
goto :eof

rem Is the route to 2 with mask 3 by 4 stored?
:stored
set GOT=no
for /f "usebackq tokens=1-3 delims=, " %%A in ("%LOOK%.per") do if "%%A %%B %%C"=="%2 %3 %4" set GOT=yes
goto :eof

rem netsh's table: index, metric (column 2), MTU (column 3).
:metric
set GOT=no
for /f "usebackq tokens=1-3" %%A in ("%LOOK%.if4") do (
  if "%%A"=="%P2VIF%" if "%2"=="2" if "%%B"=="%3" set GOT=yes
  if "%%A"=="%P2VIF%" if "%2"=="3" if "%%C"=="%3" set GOT=yes
)
goto :eof

rem Does the dump 2 hold the same text as the prepared key 3 in the value 4?
:same
set GOT=no
%REG% query "HKLM\SYSTEM\p2vprep\Adapters\%STEP%\%3" /v %4 >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.%2") do if /i "%%A"=="%4" set "P2VFIRST=%%C"
set "P2VOTHER="
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%A"=="%4" set "P2VOTHER=%%C"
if not defined P2VOTHER goto :eof
if not defined P2VFIRST goto :eof
>"%LOOK%.one" set P2VFIRST
>"%LOOK%.two" set P2VOTHER
for /f "usebackq tokens=1* delims==" %%A in ("%LOOK%.one") do for /f "usebackq tokens=1* delims==" %%C in ("%LOOK%.two") do if "%%B"=="%%D" set GOT=yes
goto :eof

rem Writes down what a check found. 2: its number, 3: "stored" where the last way could set it right.
:note
if %GOT%==yes >>"%LOOK%.checks" echo check ok %2
if %GOT%==no >>"%LOOK%.checks" echo check differs %2
if %GOT%==no set /a DIFFERS+=1
if %GOT%==no if "%3"=="stored" set STORED=wrong
goto :eof

:report
for /f "usebackq skip=1 delims=" %%L in ("%LOOK%.ran") do >>"%OUT%" echo %%L
for /f "usebackq skip=1 delims=" %%L in ("%LOOK%.checks") do >>"%OUT%" echo %%L
goto :eof
""".replace("@QUOTE@", '""""')  # how find spells one quotation mark
