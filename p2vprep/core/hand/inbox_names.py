"""Names of services and drivers that ship with some Windows and say so nowhere in the registry.

Collected from the real hives of XP to 10 that the project is checked on: what lies in a folder of
Windows, has no provider, no INF and no resource, and is known to be Microsoft's or in the box. In
lower case. A file of the same name may have been put there by others: this is for lists to look at,
never for a decision.
"""

from __future__ import annotations

_TEXT = """
1394ohci abiosdsk abp480n5 acpi acpiec acpiex acpipmi adpu160m afd afunix agp440 aha154x ahcache
aic78u2 alg aliide amdagp amdide amdk8 amsint asc asc3350p asc3550 atdisk atmarpc bam basicdisplay
beep bindflt bowser brfiltlo brfiltup browser brserid brserwdm brusbmdm brusbser bthmodem bthport
cbidf2k cd20xrnt cdaudio cdfs cdrom changer cimfs circlass cisvc cldflt clfs clipsrv
clr_optimization_v* clusdisk cmdide cng compositebus comsysapp condrv cpqarray cpqarry2 cpqcissm
cpqfcalm crcdisk dac2w2k dac960nt dam dellcerc dfs dfsdriver disk dmadmin dmboot dmload dmvsc dns
dpti2o dxgkrnl errdev eventlog exfat fastfat fdc filecrypt fips flpydisk fltmgr fs_rec gagp30kx
gencounter gpc gpioclx0101 hcw85cir hdaudbus hidbatt hidbth hidir hidusb hpcisss hpn hpt3xx http
httpfilter hvcrash hvservice hwnclx0101 hyperkbd hypervideo i2omgmt i2omp i8042prt imapi
imapiservice ini910u intelppm ip6fw ipfilterdriver ipinip ipnat ipsec ipsraidn ipt irenum isapnp
iscsiprt ismserv itsas35i kbdclass kbdhid kbldfltr kdc ksecdd ksecpkg ksthunk lbrtfdc licenseinfo
licenseservice lltdio lp6nds35 luafv mbbcx mnmdd mnmsrvc modem mouclass mouhid mountmgr mpsdrv
mraid35x mrxdav mrxsmb mrxsmb10 mrxsmb20 msdtc msfs msiserver mslldp msrpc mssmbios mtconfig mup
mvumis nativewifip ndis ndiscap ndistapi ndisuio ndkping ndproxy netadaptercx netbios netbt netdde
netddedsdm netlogon npfs npsvctrig nsiproxy ntfrs ntfs ntlmssp null nv_agp nwlnkflt nwlnkfwd
ohci1394 parport partmgr parvdm pci pcidump pcmcia pcnet pcw pdcomp pdframe pdreli pdrframe peauth
perc2 perc2hib pktmon plugplay policyagent portcfg processor protectedstorage psched pschedl ptilink
ql1080 ql10wnt ql12160 ql1240 ql1280 ql2100 ql2200 ramdisk rasacd rasagilevpn rasirda rasl2tp
raspppoe raspptp rassstp rdbss rdpcdd rdpdr rdpvideominiport rdpwd rdsessmgr rdyboost redbook refs
refsv1 rpclocator rsopprov rspndr rsvp s3cap s3legacy samss sbp2port scardsvr sdbus secdrv sercx
sercx2 serenum serial sermouse sffdisk sffp_mmc sffp_sd sfloppy simbad sisagp smbdirect sparrow
spatialgraphfilter spbcx spldr spooler sr srv srv2 srvnet ssh-agent storqosflt storvsp swenum swprv
sym_hi sym_u3 symc810 symc8xx synth3dvsc sysmonlog tcpip tcpip6 tcpipreg tdpipe tdtcp tdx termdd
tlntsvr toside trustedinstaller tssdis tsusbflt tunnel uagp35 ucmcx0101 ucmtcpcicx0101 ucmucsicx0101
ucx01000 udecx udfs ufx01000 uliagpkx ultra umbus umpass umwdf update ups urscx01000 usbccgp usbcir
usbehci usbhub usbohci usbprint usbstor usbuhci usbxhci vds vga vgasave vgpu vhdmp viaagp viac7
viaide vid virtualrender vmbushid volsnap vpci vss vwifibus wacompen wanarp wd wdf01000 wdica
wdiwifi wfpcapture wfplwf wimmount windowstrustedrt winsock wlbs wmiacpi wmiapsrv wof wpcfltr
ws2ifsl wudfpf wudfrd
"""
_NAMES = frozenset(_TEXT.split())
_STARTS = ("clr_optimization_v",)


def ships_with_windows(name: str) -> bool:
    """Whether a service or driver of this name is known to come with Windows."""
    return name.lower() in _NAMES or name.lower().startswith(_STARTS)
