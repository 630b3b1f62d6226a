/*
 * Tests of sys/block_device and sys/nvme_smart: an invented sysfs with every kind of a controller.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/block_device.h"
#include "sys/fs_size.h"
#include "sys/nvme_smart.h"

#include <string.h>

#define PCI "devices/pci0000:00/"

static char *sysfs, *run; /* of one test */

static void begin(void)
{
    sysfs = g_dir_make_tmp("sysfs-XXXXXX", NULL);
    run = g_dir_make_tmp("run-XXXXXX", NULL);
}

static void end(void)
{
    rig_free(sysfs);
    rig_free(run);
}

static void put_device(const char *place, const char *node, const char *number)
{
    g_autofree char *uevent = g_build_filename(place, "uevent", NULL);
    g_auto(GStrv) parts = g_strsplit(number, ":", 2);
    g_autofree char *text =
        g_strdup_printf("MAJOR=%s\nMINOR=%s\nDEVNAME=%s\n", parts[0], parts[1], node);
    g_autofree char *class = g_strdup_printf("class/block/%s", node);
    g_autofree char *dev = g_strdup_printf("dev/block/%s", number);
    g_autofree char *target = g_strdup_printf("../../%s", place);

    rig_put(sysfs, uevent, text);
    rig_link(sysfs, class, target);
    rig_link(sysfs, dev, target);
}

static void put_driver(const char *controller, const char *driver)
{
    g_autofree char *path = g_build_filename(controller, "driver", NULL);
    g_autofree char *target = g_strdup_printf("../../../bus/pci/drivers/%s", driver);

    rig_link(sysfs, path, target);
}

static char *address_of(const char *place)
{
    g_autoptr(BlockDevice) device = block_device_read(sysfs, run, place);

    return g_strdup_printf("%s %u:%u:%u %d:%d:%d.%d%s", device->bus, device->bus_number,
                           device->target, device->unit, device->domain, device->pci_bus,
                           device->slot, device->function, device->located ? "" : " ?");
}

static void each_controller_has_its_own_address(void)
{
    static const struct {
        const char *controller, *driver, *rest, *address;
    } CASES[] = {
        {PCI "0000:00:05.0", "virtio-pci", "/virtio1/block/vda", "virtio 0:0:0 0:0:5.0"},
        {PCI "0000:00:05.0", "virtio-pci", "/virtio1/block/vda/vda1", "virtio 0:0:0 0:0:5.0"},
        {PCI "0000:00:01.2/0000:02:00.0", "virtio-pci", "/virtio3/block/vdb",
         "virtio 0:0:0 0:2:0.0"},
        {PCI "0000:00:06.0", "virtio-pci", "/virtio2/host2/target2:1:3/2:1:3:7/block/sda/sda2",
         "scsi 1:3:7 0:0:6.0"},
        {PCI "0000:00:01.1", "ata_piix", "/ata2/host1/target1:0:1/1:0:1:0/block/sdb",
         "ide 1:0:1 0:0:1.1"},
        {PCI "0000:00:1f.2", "ahci", "/ata5/host4/target4:0:0/4:0:0:0/block/sdc",
         "sata 0:0:2 0:0:31.2"},
        {PCI "0000:00:1f.2", "ahci", "/ata5/block/sdc", "unknown 0:0:0 0:0:31.2 ?"},
        {PCI "0000:00:07.0", "sym53c8xx", "/host5/target5:0:4/5:0:4:0/block/sdd",
         "scsi 0:0:4 0:0:7.0"},
        {PCI "0000:00:07.0", "vmw_pvscsi", "/host5/target5:0:4/5:0:4:0/block/sdd",
         "scsi 0:0:4 0:0:7.0"},
        {PCI "0000:00:08.0", "nvme", "/nvme/nvme0/nvme0n1", "nvme 0:0:0 0:0:8.0"},
        {PCI "0000:00:09.0", "xhci_hcd", "/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sde",
         "usb 0:0:0 0:0:9.0"},
        {PCI "0000:00:0a.0", "surprise", "/block/odd", "unknown 0:0:0 0:0:10.0 ?"},
        {"devices/platform/4010000000.pcie/pci0000:00/0000:00:03.0", "virtio-pci",
         "/virtio0/block/vdc", "virtio 0:0:0 0:0:3.0"},
        {PCI "0000:00:0e.0/pci10000:e0/10000:e0:1d.0/10000:e1:00.0", "nvme", "/nvme/nvme1/nvme1n1",
         "nvme 0:0:0 65536:225:0.0"},
        {"devices/platform/a003e00.virtio_mmio", "x", "/virtio1/block/vdd",
         "virtio 0:0:0 -1:-1:-1.-1"},
        {"devices/platform/x", "x", "/virtio1/host0/target0:0:2/0:0:2:5/block/sdf",
         "scsi 0:2:5 -1:-1:-1.-1"},
        {"devices/vbd-51712", "x", "/block/xvda", "xen 0:0:0 -1:-1:-1.-1 ?"},
        {"devices/platform/mmc", "x", "/block/mmcblk0", "unknown 0:0:0 -1:-1:-1.-1 ?"},
    };

    begin();
    for (unsigned i = 3; i < 12; i++) {
        g_autofree char *sata = g_strdup_printf(PCI "0000:00:1f.2/ata%u/x", i);

        rig_put(sysfs, sata, "");
    }
    rig_put(sysfs, PCI "0000:00:01.1/ata1/x", "");
    rig_put(sysfs, PCI "0000:00:01.1/ata_port/x", "");
    rig_put(sysfs, PCI "0000:00:01.1/ata2/x", "");
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *place = g_strconcat(CASES[i].controller, CASES[i].rest, NULL);
        g_autofree char *address = NULL;

        put_driver(CASES[i].controller, CASES[i].driver);
        address = address_of(place);
        g_assert_cmpstr(address, ==, CASES[i].address);
    }
    end();
}

static void mainframe_channels(void)
{
    g_autoptr(BlockDevice) device = NULL;

    begin();
    device = block_device_read(sysfs, run, "devices/css0/0.1.0002/0.0.00ab/virtio1/block/vda");
    g_assert_true(device->located && device->ccw);
    g_assert_cmpstr(device->bus, ==, "virtio");
    g_assert_cmpmem(device->ccw_ids, sizeof(device->ccw_ids), ((unsigned[]){0, 1, 2, 0xab}),
                    4 * sizeof(unsigned));
    end();
}

static void nvme_with_several_ways(void)
{
    g_autofree char *address = NULL;

    begin();
    rig_link(sysfs, "devices/virtual/nvme-subsystem/nvme-subsys0/nvme0",
             "../../../pci0000:00/0000:00:04.0/nvme/nvme0");
    rig_put(sysfs, "devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/uevent", "");
    address = address_of("devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
    g_assert_cmpstr(address, ==, "nvme 0:0:0 0:0:4.0");
    end();
}

static void assert_serial(const char *place, const char *node, const char *serial)
{
    g_autoptr(BlockDevice) device = block_device_read(sysfs, run, place);

    g_assert_cmpstr(device->node, ==, node);
    g_assert_cmpstr(device->serial, ==, serial);
}

static void nodes_and_serials(void)
{
    const char *disk = PCI "0000:00:05.0/virtio1/block/vda";
    const char *partition = PCI "0000:00:05.0/virtio1/block/vda/vda1";

    begin();
    assert_serial(disk, NULL, NULL);
    put_device(disk, "vda", "254:0");
    put_device(partition, "vda1", "254:1");
    assert_serial(disk, "/dev/vda", NULL);
    rig_put(sysfs, PCI "0000:00:05.0/virtio1/block/vda/serial", "  SN 1 \n");
    assert_serial(disk, "/dev/vda", "SN 1");
    assert_serial(partition, "/dev/vda1", "SN 1");
    rig_put(run, "udev/data/b254:0", "S:disk/by-id/x\nE:ID_SERIAL_SHORT=no\nE:ID_SERIAL=SN_1\n");
    assert_serial(disk, "/dev/vda", "SN_1");
    rig_put(run, "udev/data/b254:0", "E:ID_SERIAL=\n\xff\xfe");
    assert_serial(disk, "/dev/vda", NULL);
    rig_put(sysfs, PCI "0000:00:08.0/nvme/nvme0/nvme0n1/device/serial", "NVME1 \n");
    put_device(PCI "0000:00:08.0/nvme/nvme0/nvme0n1", "nvme0n1", "259:0");
    assert_serial(PCI "0000:00:08.0/nvme/nvme0/nvme0n1", "/dev/nvme0n1", "NVME1");
    end();
}

static void places_and_parts(void)
{
    g_autofree char *by_number = NULL;
    g_autofree char *by_name = NULL;
    g_autoptr(GPtrArray) parts = NULL;

    begin();
    put_device(PCI "0000:00:05.0/virtio1/block/vda", "vda", "254:0");
    put_device(PCI "0000:00:06.0/virtio2/block/vdb", "vdb", "254:16");
    put_device("devices/virtual/block/dm-0", "dm-0", "253:0");
    rig_link(sysfs, "devices/virtual/block/dm-0/slaves/vdb", "../../../../somewhere");
    rig_link(sysfs, "devices/virtual/block/dm-0/slaves/vda", "../../../../somewhere");
    rig_link(sysfs, "devices/virtual/block/dm-0/slaves/gone", "../../../../somewhere");
    by_number = block_device_place(sysfs, "254:16");
    by_name = block_device_place(sysfs, "vdb");
    g_assert_cmpstr(by_number, ==, PCI "0000:00:06.0/virtio2/block/vdb");
    g_assert_cmpstr(by_name, ==, by_number);
    g_assert_null(block_device_place(sysfs, "9:9"));
    rig_link(sysfs, "class/block/evil", "../../../../etc/passwd");
    g_assert_null(block_device_place(sysfs, "evil"));
    g_assert_true(block_device_virtual("devices/virtual/block/dm-0"));
    g_assert_false(block_device_virtual(by_number));
    g_assert_null(block_device_parts(sysfs, by_number));
    parts = block_device_parts(sysfs, "devices/virtual/block/dm-0");
    g_assert_cmpuint(parts->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(parts, 0), ==, PCI "0000:00:05.0/virtio1/block/vda");
    end();
}

static void numbers_of_the_health_log(void)
{
    NvmeSmart smart = {.bytes = {0x01, 0x34, 0x12}};

    memset(smart.bytes + 32, 0xff, 8);
    smart.bytes[40] = 1;
    g_assert_cmpuint(nvme_smart_number(&smart, 0, 1), ==, 1);
    g_assert_cmpuint(nvme_smart_number(&smart, 1, 2), ==, 0x1234);
    g_assert_cmpuint(nvme_smart_number(&smart, 32, 8), ==, UINT64_MAX);
    g_assert_cmpuint(nvme_smart_number(&smart, 40, 8), ==, 1);
    g_assert_false(nvme_smart_ask("/nowhere", &smart));
    g_assert_false(nvme_smart_ask("/dev/null", &smart)); /* not such a disk */
}

static void sizes_of_a_filesystem(void)
{
    FsSize size = {0};

    g_assert_true(fs_size_ask("/tmp", &size));
    g_assert_cmpuint(size.used, <=, size.total);
    g_assert_cmpuint(size.total, <=, size.privileged);
    g_assert_cmpuint(size.privileged, >, 0);
    g_assert_false(fs_size_ask("/nowhere", &size));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/block/addresses", each_controller_has_its_own_address);
    g_test_add_func("/block/ccw", mainframe_channels);
    g_test_add_func("/block/subsystem", nvme_with_several_ways);
    g_test_add_func("/block/serials", nodes_and_serials);
    g_test_add_func("/block/places", places_and_parts);
    g_test_add_func("/smart/numbers", numbers_of_the_health_log);
    g_test_add_func("/fs-size/sizes", sizes_of_a_filesystem);
    return g_test_run();
}
