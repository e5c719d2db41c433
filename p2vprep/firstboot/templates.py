r"""The scripts that run inside Windows. Plain cmd of 2003 and later: no PowerShell, no program of our own.

Rules the texts keep:

- ASCII only; the builder turns line ends into CRLF.
- Names from the guest are data. They come from data files through ``for /f``
  into a variable that is only ever used between double quotes; a name that could
  still do harm there (see :func:`p2vprep.firstboot.steps.is_plain`) never gets
  into a command line, only into a ``.reg`` file.
- Every switch of cmd that the registry can change (AutoRun, extensions, delayed
  expansion) is set explicitly, and PATH holds nothing but the system's folders.
- What a program prints is read from a file, never by ``for /f ('…')``: that would start a shell with
  whatever AutoRun says.
- Nothing waits without a limit. A step runs in a shell of its own, so that a
  step that stops half-way, or hangs, does not take the engine with it.
"""

from __future__ import annotations

STEPS_MARK = "@STEPS@"
SETS_MARK = "@SETS@"
BEGIN_MARK = "@BEGIN@"
REMOVE_MARK = "@REMOVE@"

ENGINE = r"""@echo off
rem p2vprep: finishes the preparation of this machine at its first boot, then removes itself.
rem Started by the service entry "p2vprep". Log: firstboot.log, results: the folder results.
setlocal EnableExtensions DisableDelayedExpansion
set "ERRORLEVEL="
set "P2V=%SystemDrive%\p2vprep"
set "SYS=%SystemRoot%\System32"
set "PATH=%SYS%;%SystemRoot%;%SYS%\wbem;%SYS%\WindowsPowerShell\v1.0"
set "PATHEXT=.COM;.EXE;.BAT;.CMD"
set "ComSpec=%SYS%\cmd.exe"
set "REG=%SYS%\reg.exe"
set "SC=%SYS%\sc.exe"
set "PING=%SYS%\ping.exe"
set "FIND=%SYS%\find.exe"
set "NETSH=%SYS%\netsh.exe"
set "ROUTE=%SYS%\route.exe"
set "GETMAC=%SYS%\getmac.exe"
set "WMIC=%SYS%\wbem\wmic.exe"
set "DISKPART=%SYS%\diskpart.exe"
set "PNPUTIL=%SYS%\pnputil.exe"
set "SHUTDOWN=%SYS%\shutdown.exe"
set "SHELL=%SYS%\cmd.exe /d /e:on /v:off /c"
set "KEY=HKLM\SYSTEM\p2vprep\Result"
set "LOG=%P2V%\firstboot.log"
cd /d "%P2V%"
if "%~1"=="step" goto step

rem Only one at a time: the file stays open, and cannot be opened by another, while this one runs.
call :main 2>"%P2V%\running.tmp"
exit 0

:main
@BEGIN@
set REBOOT=no
set LATER=no
if not exist "%P2V%\results\." md "%P2V%\results"
if not exist "%P2V%\work\." md "%P2V%\work"
del /q "%P2V%\work\waited.tmp" >nul 2>&1
%REG% query "%KEY%" /v Finished >nul 2>&1
if not errorlevel 1 goto remove

rem Which boot is this? After three the job gives up: it only gives back what it borrowed.
set BOOT=1
call :count 1 2
call :count 2 3
call :count 3 4
if %BOOT%==1 del /q "%P2V%\results\*.part" "%P2V%\results\*.txt" "%P2V%\work\*.claim" >nul 2>&1
if not %BOOT%==4 %REG% add "%KEY%" /v Boot%BOOT% /t REG_SZ /d begun /f >nul 2>&1
%REG% add "%KEY%" /v State /t REG_SZ /d running /f >nul 2>&1
call :log "boot %BOOT% begins"

rem Without a working ping there is no way to wait, then steps run without a time limit.
set WAITS=no
%PING% -n 2 127.0.0.1 >nul 2>&1
if not errorlevel 1 set WAITS=yes
set FAILED=no
set AGAIN=no
@STEPS@
if %AGAIN%==no goto finish
if %BOOT%==1 goto later
if %BOOT%==2 goto later

:finish
set STATE=finished
if %FAILED%==yes set STATE=failed
if %BOOT%==4 set STATE=gave-up
%REG% add "%KEY%" /v State /t REG_SZ /d %STATE% /f >nul 2>&1
%REG% add "%KEY%" /v Finished /t REG_SZ /d yes /f >nul 2>&1
call :log "%STATE%"
start "" /min %SHELL% %P2V%\lib\serial.cmd %STATE% %BOOT%

:remove
@REMOVE@
%SC% delete p2vprep >nul 2>&1
for %%C in (CurrentControlSet @SETS@) do call :forget %%C
%REG% query HKLM\SYSTEM\CurrentControlSet\Services\p2vprep >nul 2>&1
if errorlevel 1 (call :log "service entry removed") else (call :log "service entry NOT removed")
call :restart
goto :eof

:later
%REG% add "%KEY%" /v State /t REG_SZ /d again /f >nul 2>&1
call :log "not everything is done, the next boot goes on"
call :restart
goto :eof

rem At most one restart of our own, and none that could not be written down before.
:restart
if %REBOOT%==no goto :eof
if %BOOT%==4 goto :eof
%REG% query "%KEY%" /v Restarted >nul 2>&1
if not errorlevel 1 goto norestart
%REG% add "%KEY%" /v Restarted /t REG_SZ /d boot%BOOT% /f >nul 2>&1
if errorlevel 1 goto norestart
call :log "restarts Windows, once"
%SHUTDOWN% -r -f -t 10 >nul 2>&1
if errorlevel 1 call :log "the restart was refused"
goto :eof
:norestart
call :log "a restart is still wanted; it is left to you"
goto :eof

:count
%REG% query "%KEY%" /v Boot%1 >nul 2>&1
if not errorlevel 1 set BOOT=%2
goto :eof

:forget
%REG% query HKLM\SYSTEM\%1\Services\p2vprep >nul 2>&1
if not errorlevel 1 %REG% delete HKLM\SYSTEM\%1\Services\p2vprep /f >nul 2>&1
goto :eof

:log
for /f "delims=" %%T in ("%DATE% %TIME%") do >>"%LOG%" echo %%T  %~1
goto :eof

rem --- one step: name, limit in seconds, "always" or "once" ---
:run
if %BOOT%==4 if not "%3"=="always" goto :eof
%REG% query "%KEY%" /v %1.over >nul 2>&1
if not errorlevel 1 goto earlier
del /q "%P2V%\results\%1.part" "%P2V%\results\%1.txt" >nul 2>&1
call :log "%1 begins"
if %WAITS%==no %SHELL% %P2V%\firstboot.cmd step %1
if %WAITS%==yes start "" /min %SHELL% %P2V%\firstboot.cmd step %1
set WAITED=0
:wait
if exist "%P2V%\results\%1.txt" goto over
if %WAITS%==no goto late
if %WAITED% GEQ %2 goto late
%PING% -n 2 127.0.0.1 >nul 2>&1
set /a WAITED+=1
goto wait

:earlier
set TOLD=unknown
%REG% query "%KEY%" /v %1 >"%P2V%\work\engine.tmp" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%P2V%\work\engine.tmp") do if "%%A"=="%1" set "TOLD=%%C"
if not "%TOLD%"=="done" set FAILED=yes
goto :eof

:late
set FAILED=yes
call :log "%1 did not end within %2 seconds"
%REG% add "%KEY%" /v %1 /t REG_SZ /d late /f >nul 2>&1
goto tried

:over
set CODE=unknown
for /f "usebackq tokens=1,2" %%A in ("%P2V%\results\%1.txt") do if "%%A"=="exit" set CODE=%%B
call :log "%1 ends with %CODE%"
if "%CODE%"=="3011" goto after
if "%CODE%"=="3010" set REBOOT=yes
if "%CODE%"=="3010" set CODE=0
if "%CODE%"=="3012" set REBOOT=yes
if "%CODE%"=="3012" set LATER=yes
if "%CODE%"=="3012" set CODE=0
if not "%CODE%"=="0" goto bad
%REG% add "%KEY%" /v %1 /t REG_SZ /d done /f >nul 2>&1
%REG% add "%KEY%" /v %1.over /t REG_SZ /d yes /f >nul 2>&1
goto :eof

:after
set REBOOT=yes
set AGAIN=yes
if %BOOT%==3 set FAILED=yes
%REG% add "%KEY%" /v %1 /t REG_SZ /d restart /f >nul 2>&1
goto :eof

:bad
set FAILED=yes
%REG% add "%KEY%" /v %1 /t REG_SZ /d "failed %CODE%" /f >nul 2>&1

:tried
if "%3"=="always" set AGAIN=yes
if not "%3"=="always" %REG% add "%KEY%" /v %1.over /t REG_SZ /d yes /f >nul 2>&1
goto :eof

rem --- inside the shell of a step ---
rem Exit codes of steps: 0 done; 3010 done, a restart is wanted; 3011 goes on after a restart;
rem 3012 done, a restart is wanted and the adapters are configured after it; else failed.
:step
set "STEP=%~2"
set "OUT=%P2V%\results\%~2.part"
>"%OUT%" echo step %~2
%SHELL% %P2V%\steps\%~2.cmd
set CODE=%ERRORLEVEL%
>>"%OUT%" echo exit %CODE%
ren "%OUT%" %~2.txt
exit %CODE%
"""

VALUES_STEP = r"""@echo off
rem Gives registry values back, as they were before the first boot was made quiet, and drops their records.
setlocal EnableExtensions DisableDelayedExpansion
%REG% import "%P2V%\data\values.reg" >nul 2>&1
set CODE=%ERRORLEVEL%
if %CODE%==0 %REG% delete HKLM\SYSTEM\p2vprep\ParkedValues /f >nul 2>&1
>>"%OUT%" echo values reg %CODE%
exit %CODE%
"""

GIVE_BACK_STEP = r"""@echo off
rem Gives parked services their start type back. services.txt: number, start type, name.
rem sc tells the running service manager; the .reg file then sets the exact values, also where sc failed.
setlocal EnableExtensions DisableDelayedExpansion
set BAD=0
for /f "usebackq tokens=1,2*" %%A in ("%P2V%\data\services.txt") do (
  set "NAME=%%C"
  call :one %%A %%B
)
exit %BAD%

:one
set SCRC=-
if "%2"=="registry-only" goto registry
%REG% query "HKLM\SYSTEM\CurrentControlSet\Services\%NAME%" /v Start >nul 2>&1
if errorlevel 1 goto gone
%SC% config "%NAME%" start= %2 >nul 2>&1
set SCRC=%ERRORLEVEL%
:registry
%REG% import "%P2V%\data\%1.reg" >nul 2>&1
set REGRC=%ERRORLEVEL%
if %SCRC%==0 goto given
if %REGRC%==0 goto given
set BAD=1
>>"%OUT%" echo failed %1 sc %SCRC% reg %REGRC% "%NAME%"
goto :eof
:given
>>"%OUT%" echo given-back %1 sc %SCRC% reg %REGRC% "%NAME%"
goto record
:gone
>>"%OUT%" echo gone %1 sc - reg - "%NAME%"
:record
%REG% import "%P2V%\data\%1-forget.reg" >nul 2>&1
goto :eof
"""

START_STEP = r"""@echo off
rem Starts the services that were automatic, in the order of their dependencies. start.txt: number, name.
rem Three rounds, because the service manager may be busy while Windows still starts.
rem 1056: it runs already. 1058: disabled, waiting does not help. 1060: it does not exist, nothing to start.
setlocal EnableExtensions DisableDelayedExpansion
set BAD=0
call :round 1
if defined AGAIN %PING% -n 11 127.0.0.1 >nul 2>&1
if defined AGAIN call :round 2
if defined AGAIN %PING% -n 21 127.0.0.1 >nul 2>&1
if defined AGAIN call :round 3
exit %BAD%

:round
set "AGAIN="
for /f "usebackq tokens=1*" %%A in ("%P2V%\data\start.txt") do (
  set "NAME=%%B"
  call :one %%A %1
)
goto :eof

:one
if defined OVER%1 goto :eof
%SC% start "%NAME%" >nul 2>&1
set SCRC=%ERRORLEVEL%
if %SCRC%==0 goto started
if %SCRC%==1056 goto started
if %SCRC%==1058 goto never
if %SCRC%==1060 goto gone
if %2==3 goto never
set AGAIN=yes
goto :eof
:started
set OVER%1=yes
>>"%OUT%" echo started %1 sc %SCRC% reg - "%NAME%"
goto :eof
:gone
set OVER%1=yes
>>"%OUT%" echo gone %1 sc %SCRC% reg - "%NAME%"
goto :eof
:never
set OVER%1=yes
set BAD=1
>>"%OUT%" echo not-started %1 sc %SCRC% reg - "%NAME%"
goto :eof
"""
